// What waits: poll_oneoff, pipes and sockets; and what ends a wait.
#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <string>
#include <thread>

#include "hosts/wasi/signal_linux.h"
#include "hosts/wasi/system_io.h"
#include "hosts/wasi/testing/guest.h"

namespace rotor::wasi {
namespace {

using test::Guest;
using Time = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr uint32_t kSubscriptions = 2048, kEvents = 8192;

Subscription alarm(uint64_t timeout_ns, uint64_t user_data = 1, uint32_t id = 1, uint16_t flags = 0) {
  Subscription s{};
  s.user_data = user_data;
  s.type = EventType::clock;
  s.clock.id = id;
  s.clock.timeout_ns = timeout_ns;
  s.clock.flags = flags;
  return s;
}
Subscription of(EventType type, uint32_t fd, uint64_t user_data = 2) {
  Subscription s{};
  s.user_data = user_data;
  s.type = type;
  s.file.fd = fd;
  return s;
}

/// Polls, and returns the events.
std::vector<Event> poll(Guest& guest, const std::vector<Subscription>& all, Errno wanted = Errno::success) {
  for (size_t i = 0; i < all.size(); ++i)
    guest.store(kSubscriptions + static_cast<uint32_t>(i * sizeof(Subscription)), all[i]);
  EXPECT_EQ(guest("poll_oneoff", kSubscriptions, kEvents, all.size(), Guest::kResult), wanted);
  std::vector<Event> events;
  if (wanted == Errno::success)
    for (uint32_t i = 0; i < guest.result(); ++i) events.push_back(guest.load<Event>(kEvents + i * sizeof(Event)));
  return events;
}

struct Pipe {
  Pipe() { EXPECT_EQ(pipe2(ends, O_CLOEXEC), 0); }
  int ends[2];
};

TEST(Poll, Clocks) {
  Builder builder;
  Guest g(builder);
  const auto begin = Time::now();
  auto events = poll(g, {alarm(20'000'000, 7), alarm(3600'000'000'000, 8)});
  EXPECT_GE(Time::now() - begin, milliseconds(20));
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].user_data, 7u);
  EXPECT_EQ(events[0].error, 0u);
  EXPECT_EQ(poll(g, {alarm(0), alarm(0, 2, 0)}).size(), 2u);
  EXPECT_EQ(poll(g, {alarm(1, 1, 0, kClockAbsolute)}).size(), 1u) << "a time that is over";
  ASSERT_EQ(g("clock_time_get", 0, 0, Guest::kResult), Errno::success);
  const uint64_t soon = g.load<uint64_t>(Guest::kResult) + 10'000'000;
  EXPECT_EQ(poll(g, {alarm(soon, 1, 0, kClockAbsolute)}).size(), 1u);
  ASSERT_EQ(g("clock_time_get", 0, 0, Guest::kResult), Errno::success);
  EXPECT_GE(g.load<uint64_t>(Guest::kResult), soon);
  // Clocks that nobody sleeps by, and none.
  events = poll(g, {alarm(0, 1, 2), alarm(0, 1, 3), alarm(0, 1, 4), alarm(0, 1, 1, 2)});
  ASSERT_EQ(events.size(), 4u);
  EXPECT_EQ(events[0].error, static_cast<uint16_t>(Errno::notsup));
  EXPECT_EQ(events[2].error, static_cast<uint16_t>(Errno::inval));
  EXPECT_EQ(events[3].error, static_cast<uint16_t>(Errno::inval));
}

TEST(Poll, Descriptors) {
  Pipe in, out;
  Builder builder;
  Guest g(builder.standard_in(Input::descriptor(in.ends[0])).standard_out(Output::descriptor(out.ends[1])));
  auto events = poll(g, {of(EventType::fd_read, 0), of(EventType::fd_write, 1, 3), alarm(3600'000'000'000)});
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].user_data, 3u);
  EXPECT_EQ(events[0].type, EventType::fd_write);
  ASSERT_EQ(write(in.ends[1], "12345", 5), 5);
  events = poll(g, {of(EventType::fd_read, 0)});
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].bytes, 5u);
  close(in.ends[1]);
  EXPECT_EQ(g.read(0), Errno::success);
  events = poll(g, {of(EventType::fd_read, 0)});
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].flags, kHangup);
  events = poll(g, {of(EventType::fd_read, 9), of(EventType::fd_read, 1), of(EventType{9}, 0)});
  ASSERT_EQ(events.size(), 3u);
  EXPECT_EQ(events[0].error, static_cast<uint16_t>(Errno::badf));
  EXPECT_EQ(events[1].error, static_cast<uint16_t>(Errno::notcapable));
  EXPECT_EQ(events[2].error, static_cast<uint16_t>(Errno::inval));
  g.drop_rights(0, kPollFdReadwrite, 0);
  events = poll(g, {of(EventType::fd_read, 0)});
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].error, static_cast<uint16_t>(Errno::notcapable));
  close(out.ends[0]);
}

/// Stops a call that waits, by an interrupt or by a deadline, and expects it to end soon.
void expect_stopped(Guest& g, bool by_deadline, const std::function<Errno()>& call) {
  const auto begin = Time::now();
  std::thread other;
  if (by_deadline)
    ASSERT_TRUE(g.instance().set_deadline(begin + milliseconds(30)));
  else
    other = std::thread([handle = g.instance().interrupt_handle()] {
      std::this_thread::sleep_for(milliseconds(30));
      EXPECT_TRUE(handle.interrupt());
    });
  EXPECT_EQ(call(), Errno::intr);
  if (other.joinable()) other.join();
  EXPECT_GE(Time::now() - begin, milliseconds(30));
  EXPECT_LT(Time::now() - begin, std::chrono::seconds(20));
  g.instance().clear_deadline();
  g.instance().interrupt_handle().cancel();
}

TEST(Stops, EndEveryWait) {
  Pipe in, full;
  const int listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  ASSERT_EQ(listen(listening, 1), 0);
  int pair[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
  Builder builder;
  builder.standard_in(Input::descriptor(in.ends[0])).standard_out(Output::descriptor(full.ends[1]));
  Guest g(builder.descriptor(listening).descriptor(pair[0]));
  ASSERT_EQ(g("fd_fdstat_set_flags", 1, kNonblock), Errno::success);
  const std::string block(4096, 'x');
  while (g.write(1, block) == Errno::success) {
  }
  ASSERT_EQ(g("fd_fdstat_set_flags", 1, 0), Errno::success);
  for (bool by_deadline : {false, true}) {
    expect_stopped(g, by_deadline, [&] {
      g.store(kSubscriptions, alarm(3600'000'000'000));
      return g("poll_oneoff", kSubscriptions, kEvents, 1, Guest::kResult);
    });
    expect_stopped(g, by_deadline, [&] { return g.read(0); });
    expect_stopped(g, by_deadline, [&] { return g.write(1, block); });
    expect_stopped(g, by_deadline, [&] { return g("sock_accept", 3, 0, Guest::kResult); });
    expect_stopped(g, by_deadline, [&] { return g.read(4); });
    expect_stopped(g, by_deadline, [&] {
      g.store(Guest::kPieces, GuestIovec{Guest::kBuffer, 10});
      return g("sock_recv", 4, Guest::kPieces, 1, 0, Guest::kResult, Guest::kResult + 4);
    });
  }
  // What was stopped goes on afterwards.
  ASSERT_EQ(write(in.ends[1], "on", 2), 2);
  EXPECT_EQ(g.read(0), Errno::success);
  EXPECT_EQ(g.text(), "on");
  close(in.ends[1]);
  close(full.ends[0]);
  close(pair[1]);
}

TEST(Stops, AGuestTrapsAfterAWaitThatWasStopped) {
  Config config;
  config.interruptible = true;
  Engine engine = Engine::create(config).value();
  Environment environment = Builder().build().value();
  Linker linker(engine);
  define(linker, environment);
  Module module = Module::compile(engine, wasm::test::assemble(R"((module
    (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (data (i32.const 16) "\01\00\00\00\00\00\00\00\ff\ff\ff\ff\ff\ff\ff\0f")
    (func (export "_start") (loop $again
      (drop (call $poll (i32.const 0) (i32.const 64) (i32.const 1) (i32.const 128)))
      (br $again)))))"))
                      .value();
  Instance instance = linker.instantiate(module).value();
  ASSERT_TRUE(instance.set_deadline(Time::now() + milliseconds(30)));
  auto ended = run_command(instance, environment);
  ASSERT_FALSE(ended);
  ASSERT_TRUE(ended.error().trap);
  EXPECT_EQ(ended.error().trap->kind, TrapKind::interrupted);
}

TEST(Pipes, WaitAndDoNot) {
  Pipe in;
  Builder builder;
  Guest g(builder.standard_in(Input::descriptor(in.ends[0])));
  ASSERT_EQ(g("fd_fdstat_set_flags", 0, kNonblock), Errno::success);
  EXPECT_EQ(g.read(0), Errno::again);
  EXPECT_EQ(fcntl(in.ends[0], F_GETFL) & O_NONBLOCK, 0);
  ASSERT_EQ(g("fd_fdstat_set_flags", 0, 0), Errno::success);
  std::thread other([&] {
    std::this_thread::sleep_for(milliseconds(10));
    EXPECT_EQ(write(in.ends[1], "late", 4), 4);
    close(in.ends[1]);
  });
  EXPECT_EQ(g.read(0), Errno::success);
  EXPECT_EQ(g.text(), "late");
  EXPECT_EQ(g.read(0), Errno::success);
  EXPECT_EQ(g.text(), "");
  other.join();
}

TEST(Pipes, NobodyReadsAndTheProcessLives) {
  Pipe out;
  Builder builder;
  Guest g(builder.standard_out(Output::descriptor(out.ends[1])));
  close(out.ends[0]);
  EXPECT_EQ(g.write(1, "x"), Errno::pipe);
  EXPECT_EQ(g.write(1, "x"), Errno::pipe);
}

TEST(Pipes, TheSignalOfAWriteIsTakenBack) {
  Pipe out;
  close(out.ends[0]);
  sigset_t pending;
  for (bool blocked_before : {false, true}) {
    sigset_t pipe, old;
    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    if (blocked_before) pthread_sigmask(SIG_BLOCK, &pipe, &old);
    {
      NoSigpipe none;
      EXPECT_EQ(write(out.ends[1], "x", 1), -1);
    }
    EXPECT_EQ(errno, EPIPE);
    sigpending(&pending);
    // Who blocked it wants to have it.
    EXPECT_EQ(sigismember(&pending, SIGPIPE), blocked_before ? 1 : 0);
    if (!blocked_before) continue;
    const timespec none{};
    EXPECT_EQ(sigtimedwait(&pipe, nullptr, &none), SIGPIPE);
    pthread_sigmask(SIG_SETMASK, &old, nullptr);
  }
  close(out.ends[1]);
}

TEST(Pipes, OfAnOlderSystem) {
  // One that knows neither RWF_NOWAIT nor RWF_NOSIGNAL, or only the first of them.
  EnvironmentImpl environment(3);
  Caller caller(nullptr);
  Call call(caller, environment);
  std::string bytes(3 * kMaxWaitingWriteBytes, 'x');
  Pieces pieces;
  pieces.count = 1;
  pieces.all()[0] = {bytes.data(), bytes.size()};
  pieces.bytes = bytes.size();
  for (bool can_nowait : {false, true}) {
    Pipe pipe;
    Descriptor in, out;
    in.fd = pipe.ends[0];
    out.fd = pipe.ends[1];
    for (Descriptor* end : {&in, &out}) {
      end->can_nowait = can_nowait;
      end->can_nosignal = false;
    }
    EXPECT_EQ(write_pieces(call, out, pieces, std::nullopt), can_nowait ? bytes.size() : kMaxWaitingWriteBytes);
    EXPECT_EQ(read_pieces(call, in, pieces, std::nullopt), can_nowait ? bytes.size() : kMaxWaitingWriteBytes);
    in.flags = kNonblock;
    EXPECT_EQ(read_pieces(call, in, pieces, std::nullopt).error(), Errno::again);
    in.flags = 0;
    std::thread other([&] {
      std::this_thread::sleep_for(milliseconds(5));
      EXPECT_EQ(write(pipe.ends[1], "late", 4), 4);
    });
    EXPECT_EQ(read_pieces(call, in, pieces, std::nullopt), 4u);
    other.join();
    out.flags = kNonblock;
    while (write_pieces(call, out, pieces, std::nullopt)) {
    }
    EXPECT_EQ(write_pieces(call, out, pieces, std::nullopt).error(), Errno::again);
    close(pipe.ends[0]);
    EXPECT_EQ(write_pieces(call, out, pieces, std::nullopt).error(), Errno::pipe);
    close(pipe.ends[1]);
  }
}

TEST(Terminals, AreReadAndWrittenToAndWaitedFor) {
  const int host = posix_openpt(O_RDWR | O_NOCTTY);
  if (host < 0 || grantpt(host) != 0 || unlockpt(host) != 0) GTEST_SKIP() << "no terminals here";
  const int terminal = open(ptsname(host), O_RDWR | O_NOCTTY);
  ASSERT_GE(terminal, 0);
  Builder builder;
  Guest g(builder.standard_in(Input::descriptor(terminal)).standard_out(Output::descriptor(dup(terminal))));
  ASSERT_EQ(g("fd_fdstat_get", 0, Guest::kBuffer), Errno::success);
  const auto stat = g.load<FdStat>(Guest::kBuffer);
  EXPECT_EQ(stat.type, FileType::character_device);
  EXPECT_EQ(stat.rights & (kFdSeek | kFdTell | kFdWrite), 0u) << "so that a guest takes it for a terminal";
  EXPECT_EQ(g.write(1, "asked\n"), Errno::success);
  char got[16] = {};
  EXPECT_GT(read(host, got, sizeof got - 1), 0);
  EXPECT_STREQ(got, "asked\r\n");
  expect_stopped(g, true, [&] { return g.read(0); });
  EXPECT_EQ(g("fd_fdstat_set_flags", 0, kNonblock), Errno::success);
  EXPECT_EQ(g.read(0), Errno::again);
  EXPECT_EQ(g("fd_fdstat_set_flags", 0, 0), Errno::success);
  ASSERT_EQ(write(host, "told\n", 5), 5);
  EXPECT_EQ(g.read(0), Errno::success);
  EXPECT_EQ(g.text(), "told\n");
  close(host);
}

/// The line that poll told both of goes to one of them, and the other's deadline still holds.
TEST(Terminals, TwoGuestsWaitForOneLine) {
  const int host = posix_openpt(O_RDWR | O_NOCTTY);
  if (host < 0 || grantpt(host) != 0 || unlockpt(host) != 0) GTEST_SKIP() << "no terminals here";
  const int terminal = open(ptsname(host), O_RDWR | O_NOCTTY);
  ASSERT_GE(terminal, 0);
  Builder first_builder, second_builder;
  Guest guests[2] = {Guest(first_builder.standard_in(Input::descriptor(dup(terminal)))),
                     Guest(second_builder.standard_in(Input::descriptor(terminal)))};
  constexpr int kRounds = 20;
  for (int round = 0; round < kRounds; ++round) {
    Errno outcomes[2];
    std::atomic<int> ended = 0;
    std::thread threads[2];
    for (int i = 0; i < 2; ++i) {
      ASSERT_TRUE(guests[i].instance().set_deadline(Time::now() + milliseconds(60)));
      threads[i] = std::thread([&, i] {
        outcomes[i] = guests[i].read(0);
        ++ended;
      });
    }
    std::this_thread::sleep_for(milliseconds(20));
    ASSERT_EQ(write(host, "line\n", 5), 5);
    const auto begin = Time::now();
    while (ended < 2 && Time::now() - begin < std::chrono::seconds(20)) std::this_thread::sleep_for(milliseconds(1));
    EXPECT_EQ(ended, 2) << "one waits past its deadline";
    if (ended < 2) {
      ASSERT_EQ(write(host, "more\n", 5), 5);
    }
    for (std::thread& thread : threads) thread.join();
    for (int i = 0; i < 2; ++i) {
      EXPECT_TRUE(outcomes[i] == Errno::success || outcomes[i] == Errno::intr);
      guests[i].instance().clear_deadline();
    }
    if (HasFailure()) break;
  }
  close(host);
}

TEST(Pipes, ADescriptorClosedByAnotherThreadStaysOpenUntilTheCallEnds) {
  Pipe in;
  Environment environment = Builder().standard_in(Input::descriptor(in.ends[0])).build().value();
  Guest reader(environment), closer(environment);
  std::atomic<bool> reading{false};
  std::thread other([&] {
    while (!reading) std::this_thread::yield();
    std::this_thread::sleep_for(milliseconds(20));
    EXPECT_EQ(closer("fd_close", 0), Errno::success);
    EXPECT_EQ(closer.read(0), Errno::badf);
    EXPECT_EQ(write(in.ends[1], "still", 5), 5);
  });
  reading = true;
  EXPECT_EQ(reader.read(0), Errno::success);
  EXPECT_EQ(reader.text(), "still");
  other.join();
  EXPECT_EQ(fcntl(in.ends[0], F_GETFD), -1) << "closed with the call";
  close(in.ends[1]);
}

class Sockets : public testing::Test {
 protected:
  static constexpr uint32_t kListening = 3;
  Sockets() {
    listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(bind(listening, reinterpret_cast<sockaddr*>(&at), sizeof at), 0);
    EXPECT_EQ(listen(listening, 4), 0);
    socklen_t size = sizeof address;
    getsockname(listening, reinterpret_cast<sockaddr*>(&address), &size);
    guest.emplace(builder.descriptor(listening));
  }
  int connect_to_it() const {
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    EXPECT_EQ(connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    return fd;
  }
  Errno receive(uint32_t fd, uint32_t size, uint32_t flags = 0) {
    guest->store(Guest::kPieces, GuestIovec{Guest::kBuffer, size});
    return (*guest)("sock_recv", fd, Guest::kPieces, 1, flags, Guest::kResult, Guest::kResult + 4);
  }
  Errno send(uint32_t fd, std::string_view bytes, uint32_t flags = 0) {
    guest->store(Guest::kPieces, GuestIovec{guest->put(bytes), static_cast<uint32_t>(bytes.size())});
    return (*guest)("sock_send", fd, Guest::kPieces, 1, flags, Guest::kResult);
  }
  int listening;
  sockaddr_in address{};
  Builder builder;
  std::optional<Guest> guest;
};

TEST_F(Sockets, AcceptReceiveSendShutdown) {
  Guest& g = *guest;
  ASSERT_EQ(g("fd_fdstat_set_flags", kListening, kNonblock), Errno::success);
  EXPECT_EQ(g("sock_accept", kListening, 0, Guest::kResult), Errno::again);
  ASSERT_EQ(g("fd_fdstat_set_flags", kListening, 0), Errno::success);
  const int client = connect_to_it();
  ASSERT_EQ(g("sock_accept", kListening, 0, Guest::kResult), Errno::success);
  const uint32_t fd = g.result();
  ASSERT_EQ(g("fd_fdstat_get", fd, Guest::kBuffer), Errno::success);
  EXPECT_EQ(g.load<FdStat>(Guest::kBuffer).type, FileType::socket_stream);
  ASSERT_EQ(write(client, "hello", 5), 5);
  EXPECT_EQ(receive(fd, 100, kReceivePeek), Errno::success);
  EXPECT_EQ(g.text(), "hello");
  EXPECT_EQ(receive(fd, 2), Errno::success);
  EXPECT_EQ(g.text(), "he");
  EXPECT_EQ(g.read(fd), Errno::success);
  EXPECT_EQ(g.text(), "llo");
  EXPECT_EQ(send(fd, "back"), Errno::success);
  EXPECT_EQ(g.write(fd, "!"), Errno::success);
  char got[8] = {};
  EXPECT_EQ(recv(client, got, 5, MSG_WAITALL), 5);
  EXPECT_STREQ(got, "back!");
  EXPECT_EQ(g("sock_shutdown", fd, kShutdownWrite), Errno::success);
  EXPECT_EQ(recv(client, got, 5, 0), 0);
  EXPECT_EQ(send(fd, "x"), Errno::pipe) << "and no signal";
  close(client);
  EXPECT_EQ(receive(fd, 10), Errno::success);
  EXPECT_EQ(g.result(), 0u);
}

TEST_F(Sockets, WaitForAll) {
  Guest& g = *guest;
  const int client = connect_to_it();
  ASSERT_EQ(g("sock_accept", kListening, 0, Guest::kResult), Errno::success);
  const uint32_t fd = g.result();
  std::thread other([&] {
    for (const char* piece : {"one ", "two ", "three"}) {
      EXPECT_GT(write(client, piece, std::strlen(piece)), 0);
      std::this_thread::sleep_for(milliseconds(5));
    }
  });
  EXPECT_EQ(receive(fd, 13, kReceiveWaitAll), Errno::success);
  EXPECT_EQ(g.text(), "one two three");
  other.join();
  close(client);
}

TEST_F(Sockets, AcceptedNonblocking) {
  Guest& g = *guest;
  const int client = connect_to_it();
  ASSERT_EQ(g("sock_accept", kListening, kNonblock, Guest::kResult), Errno::success);
  EXPECT_EQ(receive(g.result(), 1), Errno::again);
  close(client);
}

TEST_F(Sockets, Refusals) {
  Guest& g = *guest;
  const int client = connect_to_it();
  EXPECT_EQ(g("sock_accept", kListening, kAppend, Guest::kResult), Errno::inval);
  EXPECT_EQ(g("sock_accept", kListening, 0, g.memory().size_bytes()), Errno::fault);
  ASSERT_EQ(g("sock_accept", kListening, 0, Guest::kResult), Errno::success) << "the connection was not lost";
  const uint32_t fd = g.result();
  EXPECT_EQ(g("sock_accept", fd, 0, Guest::kResult), Errno::notcapable);
  EXPECT_EQ(g("sock_accept", 1, 0, Guest::kResult), Errno::notsock);
  EXPECT_EQ(g("sock_accept", 9, 0, Guest::kResult), Errno::badf);
  EXPECT_EQ(receive(1, 1), Errno::notsock);
  EXPECT_EQ(receive(9, 1), Errno::badf);
  EXPECT_EQ(receive(fd, 1, 4), Errno::inval);
  EXPECT_EQ(receive(kListening, 1), Errno::notconn);
  EXPECT_EQ(send(1, "x"), Errno::notsock);
  EXPECT_EQ(send(9, "x"), Errno::badf);
  EXPECT_EQ(send(fd, "x", 1), Errno::inval);
  EXPECT_EQ(g("sock_send", fd, Guest::kPieces, kMaxIovecs + 1, 0, Guest::kResult), Errno::inval);
  EXPECT_EQ(g("sock_recv", fd, Guest::kPieces, kMaxIovecs + 1, 0, Guest::kResult, Guest::kResult), Errno::inval);
  EXPECT_EQ(g("sock_shutdown", fd, 0), Errno::inval);
  EXPECT_EQ(g("sock_shutdown", fd, 4), Errno::inval);
  g.drop_rights(fd, kFdRead | kFdWrite | kSockShutdown, 0);
  EXPECT_EQ(receive(fd, 1), Errno::notcapable);
  EXPECT_EQ(send(fd, "x"), Errno::notcapable);
  EXPECT_EQ(g("sock_shutdown", fd, kShutdownRead), Errno::notcapable);
  g.drop_rights(kListening, kSockAccept, 0);
  EXPECT_EQ(g("sock_accept", kListening, 0, Guest::kResult), Errno::notcapable);
  close(client);
}

TEST(Datagrams, AreCutOff) {
  int pair[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair), 0);
  Builder builder;
  Guest g(builder.descriptor(pair[0]));
  ASSERT_EQ(write(pair[1], "123456", 6), 6);
  ASSERT_EQ(g("fd_fdstat_get", 3, Guest::kBuffer), Errno::success);
  EXPECT_EQ(g.load<FdStat>(Guest::kBuffer).type, FileType::socket_dgram);
  g.store(Guest::kPieces, GuestIovec{Guest::kBuffer, 3});
  ASSERT_EQ(g("sock_recv", 3, Guest::kPieces, 1, 0, Guest::kResult, Guest::kResult + 4), Errno::success);
  EXPECT_EQ(g.text(), "123");
  EXPECT_EQ(g.load<uint16_t>(Guest::kResult + 4), kReceivedTruncated);
  close(pair[1]);
}

}  // namespace
}  // namespace rotor::wasi
