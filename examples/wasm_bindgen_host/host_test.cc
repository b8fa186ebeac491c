// The host for wasm-bindgen guests, on a small guest that imports as they do.
#include "examples/wasm_bindgen_host/host.h"

#include <gtest/gtest.h>

namespace rotor::wasm_bindgen {
namespace {

// (module
//   (import "wbg" "memory" (memory 1 100))
//   (import "w" "__wbindgen_init_externref_table" (func $init))
//   (import "w" "__wbindgen_is_undefined" (func $undef (param externref) (result i32)))
//   (import "w" "__wbindgen_is_object" (func $obj (param externref) (result i32)))
//   (import "w" "__wbg_crypto_0123456789abcdef" (func $crypto (param externref) (result externref)))
//   (import "w" "__wbg_getRandomValues_0123456789abcdef" (func $random (param externref externref)))
//   (import "w" "__wbg_newwithbyteoffsetandlength_0123456789abcdef" (func $view (param externref i32 i32) (result
//   externref))) (import "w" "__wbg_new_0123456789abcdef" (func $nothing (result externref))) (import "w"
//   "__wbindgen_throw" (func $throw (param i32 i32))) (table (export "refs") 1 externref) (data (i32.const 0) "oops")
//   (func (export "__wbindgen_start") (param i32) (call $init))
//   (func (export "undefined_at") (param i32) (result i32) (call $undef (table.get (local.get 0))))
//   (func (export "object_at") (param i32) (result i32) (call $obj (table.get (local.get 0))))
//   (func (export "null_at") (param i32) (result i32) (ref.is_null (table.get (local.get 0))))
//   (func (export "random") (param i32 i32)
//     (call $random (call $crypto (ref.null extern)) (call $view (ref.null extern) (local.get 0) (local.get 1))))
//   (func (export "unstubbed") (drop (call $nothing)))
//   (func (export "throw") (call $throw (i32.const 0) (i32.const 4))))
const char kGuest[] =
    "0061736d01000000012c0960000060016f017f60016f016f60026f6f0060036f7f7f016f6000016f60027f7f0060017f0060017f017f"
    "02a0020903776267066d656d6f72790201016401771f5f5f7762696e6467656e5f696e69745f65787465726e7265665f7461626c6500"
    "000177175f5f7762696e6467656e5f69735f756e646566696e656400010177145f5f7762696e6467656e5f69735f6f626a6563740001"
    "01771d5f5f7762675f63727970746f5f3031323334353637383961626364656600020177265f5f7762675f67657452616e646f6d5661"
    "6c7565735f3031323334353637383961626364656600030177315f5f7762675f6e657777697468627974656f6666736574616e646c65"
    "6e6774685f30313233343536373839616263646566000401771a5f5f7762675f6e65775f303132333435363738396162636465660005"
    "0177105f5f7762696e6467656e5f7468726f770006030807070808080600000404016f0001075d0804726566730100105f5f7762696e"
    "6467656e5f737461727400080c756e646566696e65645f61740009096f626a6563745f6174000a076e756c6c5f6174000b0672616e64"
    "6f6d000c09756e73747562626564000d057468726f77000e0a4007040010000b08002000250010010b08002000250010020b07002000"
    "2500d10b1000d06f1003d06f20002001100510040b050010061a0b08004100410410070b0b0a010041000b046f6f7073";

std::vector<uint8_t> from_hex(std::string_view hex) {
  std::vector<uint8_t> bytes;
  for (size_t i = 0; i + 1 < hex.size(); i += 2)
    bytes.push_back(static_cast<uint8_t>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16)));
  return bytes;
}

class BindgenHostTest : public testing::Test {
 protected:
  void make(BindgenOptions options = {}) {
    auto engine = Engine::create();
    ASSERT_TRUE(engine) << engine.error().message;
    auto module = Module::compile(*engine, from_hex(kGuest));
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
