#include "runtime/store/tag.h"

#include "rotor/exception.h"
#include "runtime/access.h"
#include "runtime/engine.h"

namespace rotor {

Result<Tag> Tag::create(const Engine& engine, TagType type) {
  struct Keeper {
    std::shared_ptr<runtime::EngineImpl> engine;
    runtime::TypeUses uses;
  };
  auto keeper = std::make_shared<Keeper>(runtime::impl_of(engine).shared_from_this());
  ROTOR_TRY(const runtime::CanonicalType* canonical,
            keeper->engine->types.add(FuncType{std::move(type.params), {}}, keeper->uses));
  return Tag(std::make_shared<const runtime::TagImpl>(*canonical, std::move(keeper)));
}

TagType Tag::type() const { return impl_ ? TagType{impl_->type.type.params} : TagType{}; }

std::unexpected<Error> throw_exception(Tag tag, std::vector<Value> values) {
  Error error(ErrorKind::exception, "an exception of " + to_string(ExternType(tag.type())));
  error.exception = std::make_shared<const Exception>(std::move(tag), std::move(values));
  return std::unexpected(std::move(error));
}

}  // namespace rotor
