/* The trivial payload: static, does nothing. */
int main(void)
{
    return 0;
}
