// SPDX-License-Identifier: Apache-2.0
// Where the code of the trainer side is compiled. By default everything is inline. With GRADWIRE_SEPARATE_COMPILATION
// defined for a whole program, one .cpp includes <gradwire/src.hpp> and no other .cpp sees Boost, OpenSSL or the
// codecs.
#pragma once

#ifdef GRADWIRE_SEPARATE_COMPILATION
#define GRADWIRE_DECL
#else
#define GRADWIRE_DECL inline
#endif
