#include "proxy/test_answer_guest.h"
