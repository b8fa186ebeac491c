// Guests for a proxy: what a factory makes of each request.
#include "hosts/wasm_bindgen/guest.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "hosts/wasm_bindgen/testing/guest.h"

namespace rotor::wasm_bindgen {
namespace {

std::span<uint8_t> bytes_of(const ObjectTable& objects, ExternRef array) {
  auto found = objects.array(array);
  return found ? std::get<HostSlice>(*found).bytes() : std::span<uint8_t>();
}

TEST(ObjectTable, ACopyHasTheSameObjectsAndBytesOfItsOwn) {
  ObjectTable first;
  const ExternRef error = *first.add(JsError{"what went wrong"});
  const ExternRef whole = *first.add_bytes(0x20000);
  const ExternRef part = *first.subarray(whole, 0x10000, 0x10004);  // an object beside the first: it shares its bytes
  const ExternRef small = *first.subarray(whole, 4, 8);             // lives in the reference
  bytes_of(first, whole)[0x10000] = 1;

  ObjectTable copy(first);
  EXPECT_EQ(copy.size(), first.size());
  EXPECT_EQ(copy.describe(error), "what went wrong");
  EXPECT_EQ(bytes_of(copy, part)[0], 1);
  bytes_of(copy, part)[0] = 2;
  bytes_of(copy, small)[0] = 3;
  EXPECT_EQ(bytes_of(copy, whole)[0x10000], 2);
  EXPECT_EQ(bytes_of(copy, whole)[4], 3);
  EXPECT_EQ(bytes_of(first, whole)[0x10000], 1);
  EXPECT_EQ(bytes_of(first, whole)[4], 0);
  // New objects get the same references in both: a restored guest goes on as the saved one did.
  EXPECT_EQ(copy.add(JsString{"a"})->bits, first.add(JsString{"b"})->bits);
}

class BindgenGuestTest : public testing::Test {
 protected:
  void SetUp() override {
    auto engine = Engine::create();
    ASSERT_TRUE(engine) << engine.error().message;
    auto module = Module::compile(*engine, kGuest);
    ASSERT_TRUE(module) << module.error().message;
    engine_.emplace(*engine);
    module_.emplace(*module);
    make_guest_ = bindgen_guests(*engine_, *module_);
  }
  std::unique_ptr<Guest> make(const GuestRequest& request = {}) {
    auto guest = make_guest_(request);
    EXPECT_TRUE(guest) << guest.error().message;
    return guest ? std::move(*guest) : nullptr;
  }
  static std::vector<uint8_t> random(Guest& guest, uint32_t count) {
    auto func = guest.instance().get_typed<void(int32_t, int32_t)>("random");
    EXPECT_TRUE(func && (*func)(64, static_cast<int32_t>(count)));
    std::vector<uint8_t> bytes(count);
    EXPECT_TRUE(guest.instance().memory0()->read(64, bytes));
    return bytes;
  }

  std::optional<Engine> engine_;
  std::optional<Module> module_;
  GuestFactory make_guest_;
};

TEST_F(BindgenGuestTest, GuestsOfOneFactoryDrawFromOneGenerator) {
  auto first = make(), second = make();
  ASSERT_TRUE(first && second);
  SharedRandom random_bytes;
  std::vector<uint8_t> expected(8);
  for (Guest* guest : {first.get(), second.get(), first.get()}) {
    ASSERT_TRUE(random_bytes.fill(expected));
    EXPECT_EQ(random(*guest, 8), expected);
  }
}

TEST_F(BindgenGuestTest, ARestoredGuestGoesOnWhereTheSavedOneWas) {
  GuestRequest fresh;
  fresh.imageable = true;
  auto first = make(fresh);
  ASSERT_TRUE(first);
  const auto bytes = random(*first, 8);
  auto snapshot = first->instance().snapshot();
  ASSERT_TRUE(snapshot) << snapshot.error().message;
  ObjectTable objects;
  const ExternRef error = *objects.add(JsError{"saved"});

  GuestRequest restored;
  restored.snapshot = &*snapshot;
  restored.saved = std::make_shared<const ObjectTable>(objects);
  for (int i = 0; i < 2; i++) {
    auto second = make(restored);
    ASSERT_TRUE(second);
    std::vector<uint8_t> found(8);
    ASSERT_TRUE(second->instance().memory0()->read(64, found));
    EXPECT_EQ(found, bytes);
    // __wbindgen_start, which has the table grow by four, was called once in all.
    EXPECT_EQ(second->instance().get_table("refs")->size(), 5u);
    EXPECT_EQ(*second->instance().get_typed<int32_t(int32_t)>("undefined_at").value()(1), 1);
    EXPECT_EQ(second->describe_error(error), "saved");
    random(*second, 16);  // its own memory
  }
  EXPECT_EQ(random(*first, 8).size(), 8u);

  restored.saved = nullptr;
  EXPECT_EQ(make_guest_(restored).error().kind, ErrorKind::invalid_argument);
}

TEST_F(BindgenGuestTest, SavesWhatReferencesStandFor) {
  auto guest = make();
  ASSERT_TRUE(guest);
  auto saved = guest->save();
  ASSERT_TRUE(saved) << saved.error().message;
  ASSERT_TRUE(*saved);
  EXPECT_EQ(static_cast<const ObjectTable*>(saved->get())->size(), 0u);
}

TEST_F(BindgenGuestTest, WorkersAreStartedByTheNamesOfTheRule) {
  auto guest = make();
  ASSERT_TRUE(guest);
  GroupRule group;
  EXPECT_TRUE(guest->start_workers(group));  // none asked for
  EXPECT_TRUE(guest->stop_workers(group));
  group.workers = 1;
  auto started = guest->start_workers(group);
  ASSERT_FALSE(started);
  EXPECT_NE(started.error().message.find("initThreadPool"), std::string::npos) << started.error().message;
  group.start = "begin_pool";
  started = guest->start_workers(group);
  ASSERT_FALSE(started);
  EXPECT_NE(started.error().message.find("begin_pool"), std::string::npos) << started.error().message;
  EXPECT_TRUE(guest->stop_workers(group));
}

TEST_F(BindgenGuestTest, NothingIsLeftOfAGuest) {
  auto count = [](const char* folder) {
    auto all = std::filesystem::directory_iterator(folder);
    return std::distance(begin(all), end(all));
  };
  (void)make();
  const auto threads = count("/proc/self/task"), descriptors = count("/proc/self/fd");
  for (int i = 0; i < 8; i++) {
    GuestRequest request;
    request.imageable = i % 2;
    auto guest = make(request);
    ASSERT_TRUE(guest);
    guest->on_trap();
  }
  EXPECT_EQ(count("/proc/self/task"), threads);
  EXPECT_EQ(count("/proc/self/fd"), descriptors);
}

}  // namespace
}  // namespace rotor::wasm_bindgen
