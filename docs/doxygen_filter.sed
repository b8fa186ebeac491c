# What docs/Doxyfile does not ask comments of. Lines are emptied, so that the others keep their numbers.
s/.*operator==\(.*\) const = default;//
s/.* (lock|handle)\(\) const \{ return .*\}$//
s/.*explicit [A-Z][A-Za-z]*\(.*runtime::[A-Z][A-Za-z]*Impl[^,]*\) : .*\{\}$//
s/.*explicit Caller\(.*\) : .*\{\}$//
/static [A-Z][a-z]+ (weak|from_handle)\(.*\{$/,/^  \}$/s/.*//
