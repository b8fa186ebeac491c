// The body decoder: one loop over the instructions of a function, with a dispatch generated from opcodes.def, that
// types the stack (validate_body.h) and tells a sink (body_sink.h) what it read.
#pragma once

// To be written: template <class Sink> class BodyDecoder {
//   BodyDecoder(const Module&, std::span<const uint8_t> bytes, const Features&);   // reusable over many functions
//   Result<void> decode(FuncIndex defined_func, Sink& sink);
// };
