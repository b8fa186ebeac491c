// The host for wasm-bindgen guests, on a small guest that imports as they do.
#include "hosts/wasm_bindgen/host.h"

#include <gtest/gtest.h>
#include <array>

#include "hosts/wasm_bindgen/testing/guest.h"

namespace rotor::wasm_bindgen {
namespace {

class BindgenHostTest : public testing::Test {
 protected:
  void make(BindgenOptions options = {}) {
    auto engine = Engine::create();
    ASSERT_TRUE(engine) << engine.error().message;
    auto module = Module::compile(*engine, kGuest);
    ASSERT_TRUE(module) << module.error().message;
    auto host = BindgenHost::create(*engine, *module, std::move(options));
    ASSERT_TRUE(host) << host.error().message;
    host_ = std::move(*host);
  }
  int32_t ask(const char* name, int32_t index) {
    auto func = host_->instance().get_typed<int32_t(int32_t)>(name);
    EXPECT_TRUE(func) << func.error().message;
    auto result = (*func)(index);
    EXPECT_TRUE(result) << result.error().message;
    return result.value_or(-1);
  }
  std::string error_of(const char* name) {
    auto result = host_->instance().get_typed<void()>(name).value()();
    return result ? "" : result.error().message;
  }

  std::unique_ptr<BindgenHost> host_;
};

TEST_F(BindgenHostTest, UndefinedIsAReferenceAndNullIsNone) {
  make();
  // Index 0 and the four that the table grew by: undefined, undefined, null, true, false.
  EXPECT_EQ(ask("undefined_at", 0), 1);
  EXPECT_EQ(ask("null_at", 0), 0);
  EXPECT_EQ(ask("undefined_at", 1), 1);
  EXPECT_EQ(ask("null_at", 2), 1);
  EXPECT_EQ(ask("undefined_at", 2), 0);
  EXPECT_EQ(ask("null_at", 3), 0);
  EXPECT_EQ(ask("object_at", 3), 0);
  EXPECT_EQ(ask("object_at", 4), 0);
}

TEST_F(BindgenHostTest, RandomBytesAreTheSameOnAnyHost) {
  auto random = std::make_shared<SharedRandom>();
  BindgenOptions options;
  options.random = random;
  make(options);
  auto fill = host_->instance().get_typed<void(int32_t, int32_t)>("random");
  ASSERT_TRUE(fill) << fill.error().message;
  ASSERT_TRUE((*fill)(100, 6));
  uint8_t bytes[7];
  ASSERT_TRUE(host_->memory().read(100, bytes));
  const uint8_t expected[7] = {71, 171, 185, 77, 14, 200, 0};
  EXPECT_TRUE(std::equal(bytes, bytes + 7, expected));
  EXPECT_EQ(random->bytes_drawn(), 6u);
  auto past_the_end = (*fill)(65530, 7);
  ASSERT_FALSE(past_the_end);
}

TEST_F(BindgenHostTest, RandomBytesOfTheSystemNeverComeAgain) {
  BindgenOptions options;
  options.random = SharedRandom::of_system();
  make(options);
  auto fill = host_->instance().get_typed<void(int32_t, int32_t)>("random");
  ASSERT_TRUE(fill) << fill.error().message;
  std::array<uint8_t, 16> first{}, second{};
  ASSERT_TRUE((*fill)(100, 16));
  ASSERT_TRUE(host_->memory().read(100, first));
  ASSERT_TRUE((*fill)(100, 16));
  ASSERT_TRUE(host_->memory().read(100, second));
  EXPECT_NE(first, second);
  make(options);
  EXPECT_EQ(options.random->bytes_drawn(), 32u);
  std::array<uint8_t, 16> of_seed{};
  ASSERT_TRUE(SharedRandom().fill(of_seed));
  EXPECT_NE(first, of_seed);
}

TEST_F(BindgenHostTest, AnImportWithoutStubFailsOnlyWhenCalled) {
  make();
  EXPECT_EQ(error_of("unstubbed"), "unstubbed import __wbg_new_0123456789abcdef");
  EXPECT_EQ(error_of("throw"), "the guest threw: oops");
}

TEST_F(BindgenHostTest, TheMemoryItImportsIsLimited) {
  BindgenOptions options;
  options.max_pages = 3;
  make(options);
  EXPECT_TRUE(host_->memory().grow(2));
  EXPECT_FALSE(host_->memory().grow(1));
  EXPECT_EQ(host_->memory_bytes(), 3 * Memory::kPageBytes);
}

TEST_F(BindgenHostTest, AGuestWithoutPoolOrAllocatorSaysSo) {
  make();
  EXPECT_EQ(host_->start_pool(1).error().kind, ErrorKind::not_found);
  EXPECT_EQ(host_->put({}).error().kind, ErrorKind::not_found);
  EXPECT_TRUE(host_->stop());
}

TEST(ObjectTable, ViewsAndSlicesNeedNoEntry) {
  ObjectTable objects;
  auto view = objects.add_view({0x80000000u, 100}).value();
  auto part = objects.subarray(view, 10, 30).value();
  auto array = objects.array(part).value();
  EXPECT_EQ(std::get<GuestView>(array).address, 0x8000000au);
  EXPECT_EQ(std::get<GuestView>(array).size_bytes, 20u);
  EXPECT_EQ(objects.size(), 0u);
  // A view of all of a large memory.
  auto whole = objects.add_view({0, UINT64_C(1) << 32}).value();
  EXPECT_EQ(std::get<GuestView>(objects.array(whole).value()).size_bytes, UINT64_C(1) << 32);
  EXPECT_EQ(objects.size(), 0u);

  auto bytes = objects.add_bytes(256).value();
  auto slice = objects.subarray(objects.subarray(bytes, 16, 200).value(), 4, 8).value();
  EXPECT_EQ(std::get<HostSlice>(objects.array(slice).value()).start, 20u);
  EXPECT_EQ(std::get<HostSlice>(objects.array(slice).value()).size_bytes, 4u);
  EXPECT_EQ(objects.size(), 1u);
  EXPECT_FALSE(objects.subarray(slice, 2, 5));
  EXPECT_FALSE(objects.subarray(slice, 3, 2));
}

TEST(ObjectTable, ForgedReferencesAreErrors) {
  ObjectTable objects;
  EXPECT_FALSE(objects.array(ObjectTable::ref(JsKind::in_table, 12345)));
  EXPECT_FALSE(objects.array(ObjectTable::ref(JsKind::slice, 7)));
  EXPECT_FALSE(objects.array(ExternRef{}));
  EXPECT_FALSE(objects.array(ExternRef{~UINT64_C(0)}));
  EXPECT_EQ(objects.describe(ExternRef{~UINT64_C(0)}), "[object]");
  EXPECT_FALSE(objects.add_bytes(size_t{1} << 40));
}

}  // namespace
}  // namespace rotor::wasm_bindgen
