// The public C++ API of Rotor in one include.
#pragma once

/// @namespace rotor
/// The public API. Nothing in it throws, prints or ends the process; errors are values (Result).

#include "rotor/config.h"
#include "rotor/engine.h"
#include "rotor/exception.h"
#include "rotor/fiber_stack.h"
#include "rotor/func.h"
#include "rotor/import_observer.h"
#include "rotor/instance.h"
#include "rotor/interrupt.h"
#include "rotor/limits.h"
#include "rotor/linker.h"
#include "rotor/memory.h"
#include "rotor/memory_slots.h"
#include "rotor/module.h"
#include "rotor/object.h"
#include "rotor/printable.h"
#include "rotor/profile.h"
#include "rotor/result.h"
#include "rotor/snapshot.h"
#include "rotor/tag.h"
#include "rotor/trap.h"
#include "rotor/value.h"
#include "rotor/version.h"
#include "rotor/wat.h"
