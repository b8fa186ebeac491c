// What the calls of calls.wat cost a program of the system's, in the same order: native FOLDER.
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static int folder, fd;
static size_t size;
static char bytes[1 << 20];

static uint64_t now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}
static void must(int ok) {
  if (!ok) abort();
}
static void rewind_file(void) { must(lseek(fd, 0, SEEK_SET) == 0); }
static void read_clock(void) { (void)now(); }
static void write_piece(void) { must(write(fd, bytes, size) >= 0); }
static void read_piece(void) { must(read(fd, bytes, size) >= 0); }
static void write_at_start(void) {
  write_piece();
  rewind_file();
}
static void read_at_start(void) {
  read_piece();
  rewind_file();
}
static void open_and_close(void) {
  must((fd = openat(folder, "file", O_RDWR | O_CLOEXEC)) >= 0);
  must(close(fd) == 0);
}

static void measure(void (*step)(void), int times) {
  uint64_t least = UINT64_MAX;
  for (int round = 0; round < 20; ++round) {
    if (fd && step != open_and_close) rewind_file();
    const uint64_t began = now();
    for (int i = 0; i < times; ++i) step();
    const uint64_t took = (now() - began) / (uint64_t)times;
    if (took < least) least = took;
  }
  fwrite(&least, sizeof least, 1, stdout);
}

int main(int argc, char** argv) {
  if (argc < 2) return 2;
  must((folder = open(argv[1], O_RDONLY | O_DIRECTORY)) >= 0);
  measure(read_clock, 20000);
  must((fd = openat(folder, "file", O_RDWR | O_CREAT | O_TRUNC, 0666)) >= 0);
  size = 16;
  measure(write_piece, 5000);
  measure(read_piece, 5000);
  size = 1 << 20;
  measure(write_at_start, 20);
  measure(read_at_start, 20);
  close(fd);
  measure(open_and_close, 1000);
  return 0;
}
