# shellcheck shell=bash
feedback-result success
