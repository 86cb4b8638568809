/* The library that everything else of the sample needs. */
int puts(const char *);
int mini_base(void) { return puts("base"); }
