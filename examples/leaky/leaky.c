// A guest that leaks: it builds state that takes about 200 ms of real work, then answers calls, each of which loses one
// page of memory, until there is none left and it traps. Freestanding; the `plain` ABI: bytes go in through malloc and
// free, handles are pointers.
#include <stddef.h>
#include <stdint.h>

#define EXPORT(name) __attribute__((export_name(#name))) name
#define PAGE_BYTES 65536u

// ---- allocator: a list of freed blocks in front of a bump pointer ---------------------------------------------------

typedef struct Block {
  size_t bytes;  // of what follows
  struct Block* next;
} Block;

extern unsigned char __heap_base;
static uintptr_t bump;
static Block* freed;

static void* take(size_t bytes) {
  if (bump == 0) bump = ((uintptr_t)&__heap_base + 15) & ~(uintptr_t)15;
  if (bytes > UINTPTR_MAX - bump) __builtin_trap();
  uintptr_t end = bump + bytes;
  uintptr_t have = __builtin_wasm_memory_size(0) * PAGE_BYTES;
  if (end > have && __builtin_wasm_memory_grow(0, (end - have + PAGE_BYTES - 1) / PAGE_BYTES) == SIZE_MAX)
    __builtin_trap();  // out of memory
  void* result = (void*)bump;
  bump = end;
  return result;
}

void* EXPORT(malloc)(size_t bytes) {
  if (bytes > SIZE_MAX - 31) __builtin_trap();
  bytes = (bytes + 15) & ~(size_t)15;
  for (Block** link = &freed; *link; link = &(*link)->next) {
    if ((*link)->bytes != bytes) continue;
    Block* block = *link;
    *link = block->next;
    return block + 2;
  }
  Block* block = take(bytes + 2 * sizeof(Block));
  block->bytes = bytes;
  return block + 2;
}

void EXPORT(free)(void* pointer) {
  if (!pointer) return;
  Block* block = (Block*)pointer - 2;
  block->next = freed;
  freed = block;
}

// ---- the state: a table that takes long to fill ---------------------------------------------------------------------

#define ENTRIES 16384u
#define ROUNDS 4800u  // of mixing an entry; the whole table: about 200 ms

typedef struct {
  uint32_t calls;  // of work; not part of any result
  uint32_t table[ENTRIES];
} State;

static uint32_t mix(uint32_t x) {
  x ^= x << 13;
  x ^= x >> 17;
  x ^= x << 5;
  return x * 2654435761u + 1;
}

// A handle to a new state.
State* EXPORT(build_state)(uint32_t seed) {
  State* state = malloc(sizeof *state);
  state->calls = 0;
  uint32_t x = seed;
  for (uint32_t i = 0; i < ENTRIES; i++) {
    for (uint32_t round = 0; round < ROUNDS; round++) x = mix(x);
    state->table[i] = x;
  }
  return state;
}

void EXPORT(free_state)(State* state) { free(state); }

// Stirs bytes into the state: a build that takes a handle. A checksum of the table.
uint32_t EXPORT(absorb)(State* state, const uint8_t* bytes, size_t count) {
  uint32_t sum = 1;
  for (size_t i = 0; i < count; i++) {
    uint32_t* entry = &state->table[(i * 31 + bytes[i]) % ENTRIES];
    *entry = mix(*entry + bytes[i]);
  }
  for (uint32_t i = 0; i < ENTRIES; i++) sum = mix(sum ^ state->table[i]);
  return sum;
}

uint32_t EXPORT(query)(const State* state, uint32_t index) { return state->table[index % ENTRIES]; }

// The same result for the same state and x, however often it is called; and a page is gone each time.
uint32_t EXPORT(work)(State* state, uint32_t x) {
  uint32_t* scratch = take(PAGE_BYTES);  // never given back: the leak
  state->calls++;
  uint32_t result = x;
  for (uint32_t i = 0; i < PAGE_BYTES / sizeof *scratch; i++) {
    scratch[i] = state->table[i % ENTRIES] + x;
    result = mix(result ^ scratch[i]);
  }
  return result;
}

// Calls of work that this instance has served.
uint32_t EXPORT(served)(const State* state) { return state->calls; }
