#include "mini.h"

#include <cstdarg>
#include <cstdio>

namespace mini {

void log(const char * format, ...) {
    // One write per line, so that lines of several threads do not mix.
    char line[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    fprintf(stderr, "%s\n", line);
}

}  // namespace mini
