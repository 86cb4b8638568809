/* Servers that mean harm, one a word: `hostile WORD --version` answers as a server does, the rest is the attack.
 *
 * Static, so that it needs nothing of the image it is laid into. Where an attack must be seen to fail, the program says
 * how the kernel refused it and ends: the smoke test's report then holds those lines.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PORT = 8080, BLOCK = 65536 };
static char block[BLOCK];
static const char *word;

static int is(const char *name) { return strcmp(word, name) == 0; }
static void end(int number) { (void)number; _exit(0); }

static void say(int socket, const char *text) {
  if (write(socket, text, strlen(text)) < 0) _exit(1);
}

/* Requests. */

static void pour(int socket, const char *first, const char *again, useconds_t pause) {
  say(socket, first);
  for (;;) {
    if (write(socket, again, strlen(again)) <= 0) return;
    if (pause) usleep(pause);
  }
}

static void nest(int socket) {
  say(socket, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n");
  memset(block, '[', BLOCK - 1);
  for (int count = 0; count < 4; count++) say(socket, block);
}

static void answer(int socket) {
  char request[4096];
  ssize_t size = read(socket, request, sizeof request - 1);
  request[size > 0 ? size : 0] = 0;
  int asked = strstr(request, "/health") == NULL;
  memset(block, 'x', BLOCK - 1);
  if (asked && is("endless-body")) pour(socket, "HTTP/1.1 200 OK\r\n\r\n", block, 0);
  else if (asked && is("slow-body")) pour(socket, "HTTP/1.1 200 OK\r\n\r\n", "x", 200000);
  else if (asked && is("giant-header")) pour(socket, "HTTP/1.1 200 OK\r\nX: ", block, 0);
  else if (asked && is("many-headers")) pour(socket, "HTTP/1.1 200 OK\r\n", "X-Y: zzzzzzzzzzzzzzzz\r\n", 0);
  else if (asked && is("nested-json")) nest(socket);
  else say(socket, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok");
}

static void serve(void) {
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(PORT)};
  int listener = socket(AF_INET, SOCK_STREAM, 0), on = 1;
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (bind(listener, (void *)&at, sizeof at) || listen(listener, 16)) perror("listen"), exit(1);
  signal(SIGTERM, is("no-sigterm") ? SIG_IGN : end);
  signal(SIGPIPE, SIG_IGN);
  for (;;) {
    int socket = accept(listener, NULL, NULL);
    if (socket < 0) continue;
    answer(socket);
    shutdown(socket, SHUT_WR);
    close(socket);
  }
}

/* Attacks. */

static void flood(void) {
  memset(block, 'y', BLOCK);
  for (int at = 79; at < BLOCK; at += 80) block[at] = '\n';
  while (write(1, block, BLOCK) > 0) {}
  for (;;) pause();
}

static void bomb(void) {
  for (;;) fork();
}

static void balloon(void) {
  for (;;) {
    char *more = malloc(16 << 20);
    if (more) memset(more, 1, 16 << 20);
  }
}

static void daemons(void) {
  for (int count = 0; count < 5; count++) {
    if (fork()) continue;
    setsid();
    if (fork()) _exit(0);
    for (int number = 1; number < 65; number++) signal(number, SIG_IGN);
    for (;;) pause();
  }
  puts("five daemons are on their own now");
}

static void fill(int count, char **folders) {
  memset(block, 'z', BLOCK);
  for (int at = 0; at < count; at++) {
    char path[256];
    long long total = 0;
    ssize_t size;
    snprintf(path, sizeof path, "%s/hostile", folders[at]);
    int file = open(path, O_CREAT | O_WRONLY, 0644);
    while (file >= 0 && (size = write(file, block, BLOCK)) > 0) total += size;
    printf("%s: %lld MiB, then: %s\n", folders[at], total >> 20, strerror(errno));
  }
}

static void reach(int count, char **hosts) {
  for (int at = 0; at < count; at++) {
    char host[64];
    struct sockaddr_in to = {.sin_family = AF_INET};
    snprintf(host, sizeof host, "%s", hosts[at]);
    char *port = strchr(host, ':');
    *port++ = 0;
    inet_aton(host, &to.sin_addr);
    to.sin_port = htons(atoi(port));
    int tcp = socket(AF_INET, SOCK_STREAM, 0), udp = socket(AF_INET, SOCK_DGRAM, 0);
    int failed = connect(tcp, (void *)&to, sizeof to);
    printf("tcp %s: %s\n", hosts[at], failed ? strerror(errno) : "REACHED");
    long sent = sendto(udp, "hello", 5, 0, (void *)&to, sizeof to);
    printf("udp %s: %s\n", hosts[at], sent < 0 ? strerror(errno) : "SENT");
  }
  DIR *links = opendir("/sys/class/net");
  for (struct dirent *link; links && (link = readdir(links));)
    if (link->d_name[0] != '.') printf("interface %s\n", link->d_name);
}

static void climb(void) {
  char line[256];
  FILE *status = fopen("/proc/self/status", "r");
  while (status && fgets(line, sizeof line, status))
    if (!strncmp(line, "Uid:", 4) || !strncmp(line, "CapEff", 6) || !strncmp(line, "CapBnd", 6) ||
        !strncmp(line, "NoNewPrivs", 10) || !strncmp(line, "Seccomp:", 8))
      fputs(line, stdout);
  struct rlimit core, files;
  getrlimit(RLIMIT_CORE, &core);
  getrlimit(RLIMIT_NOFILE, &files);
  printf("core %llu, open files %llu\n", (unsigned long long)core.rlim_max, (unsigned long long)files.rlim_max);
#define TRY(what, call) printf("%s: %s\n", what, (call) == 0 ? "DONE" : strerror(errno))
  TRY("setuid", setuid(0));
  TRY("mount", mount("none", "/tmp", "tmpfs", 0, ""));
  TRY("mknod", mknod("/tmp/disk", S_IFBLK | 0600, 0x0800));
  TRY("user namespace", unshare(CLONE_NEWUSER));
  TRY("host name", sethostname("hostile", 7));
}

static void garble(void) {
  printf("\x1b[2J\x1b]0;owned\a\x1b[31mred\x1b[0m\n::error::not from the pipeline\n");
  printf("\xff\xfe not utf-8\n\xe2\x80\xae" "backwards\n");
  memset(block, 'w', BLOCK - 1);
  for (int count = 0; count < 16; count++) printf("%s", block);
  printf("\nthe\tend\r\n");
}

static int version(int alone) {
  if (is("hanging-flags") && !alone) for (;;) pause();
  if (is("endless-version")) flood();
  if (is("hanging-version")) for (;;) pause();
  if (is("garbled")) return garble(), fflush(stdout), 3;
  puts("version: 42 (abcdef123)");
  return 0;
}

/* What it tries succeeds where nothing forbids it: on a host, or for a root user. It is for the test's containers alone. */
static void guard(void) {
  const char *where = getenv("HOSTILE_WHERE");
  if (where && !strcmp(where, "container") && getpid() == 1 && getuid()) return;
  fputs("refused: this is neither the test's container nor an ordinary user\n", stderr);
  exit(70);
}

int main(int count, char **words) {
  guard();
  word = count > 1 ? words[1] : "";
  int given = 2;
  while (given < count && strncmp(words[given], "--", 2)) given++;
  for (int at = 2; at < count; at++) {
    if (strcmp(words[at], "--version") == 0) return version(count == 3);
    if (strcmp(words[at], "--help") == 0) return puts("usage: hostile [options]\n\n  --version    show the version"), 0;
    /* It does serve; a broken model is no attack of its own. */
    if (strstr(words[at], "/noise.") || strstr(words[at], "/cut.")) return fputs("error: no model\n", stderr), 1;
  }
  if (is("fork-bomb") && fork() == 0) bomb();
  if (is("flood") && fork() == 0) flood();
  if (is("balloon")) balloon();
  if (is("balloon-child") && fork() == 0) balloon();
  if (is("balloon-child")) wait(NULL);
  int attacks = 1;
  if (is("daemons")) daemons();
  else if (is("fill")) fill(given - 2, words + 2);
  else if (is("network")) reach(given - 2, words + 2);
  else if (is("climb")) climb();
  else if (is("garbled")) garble();
  else attacks = 0;
  if (!attacks) serve();
  return is("daemons") ? 0 : 1;
}
