# SPDX-License-Identifier: Apache-2.0
# One mistake: SOURCE must not compile; the compiler's first error must match the first line of the file,
#   // error: <regex>
# name a line of that file (the user's), and all it says stay under 30 lines. With -DFIXED it must compile, without a word: so the
# test fails when the mistake is no longer caught and when correct code is caught. Carets are off, because they echo the source and
# the regex would match that.
cmake_minimum_required(VERSION 3.25)
file(STRINGS ${SOURCE} first LIMIT_COUNT 1)
if(NOT first MATCHES "^// error: (.+)$")
  message(FATAL_ERROR "${SOURCE}: the first line must be: // error: <regex>")
endif()
set(expected "${CMAKE_MATCH_1}")
set(compile ${COMPILER} -std=c++20 -fsyntax-only -Wall -Wextra -Wconversion -Wshadow -I${INCLUDE}
            -fno-diagnostics-show-caret -fdiagnostics-color=never)
cmake_path(GET SOURCE FILENAME file)

execute_process(COMMAND ${compile} ${SOURCE} RESULT_VARIABLE failed OUTPUT_VARIABLE said ERROR_VARIABLE said)
if(failed EQUAL 0)
  message(FATAL_ERROR "${file} compiles; it should be refused with: ${expected}")
endif()
string(REGEX MATCH "error: [^\n]*" first "${said}")
if(NOT first MATCHES "${expected}")
  message(FATAL_ERROR "${file} is refused, but not first with: ${expected}\n${said}")
endif()
if(NOT said MATCHES "${file}:[0-9]+:[0-9]+: ")
  message(FATAL_ERROR "${file}: the message does not name the user's line\n${said}")
endif()

string(REGEX MATCHALL "\n" lines "${said}")
list(LENGTH lines lines)
message(STATUS "refused in ${lines} lines")
if(lines GREATER 30)
  message(FATAL_ERROR "${file} is refused in ${lines} lines, nobody reads that\n${said}")
endif()

execute_process(COMMAND ${compile} -Werror -DFIXED ${SOURCE} RESULT_VARIABLE failed OUTPUT_VARIABLE fixed ERROR_VARIABLE fixed)
if(NOT failed EQUAL 0 OR NOT fixed STREQUAL "")
  message(FATAL_ERROR "${file}: the FIXED twin does not compile cleanly\n${fixed}")
endif()
