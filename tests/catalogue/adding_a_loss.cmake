# SPDX-License-Identifier: Apache-2.0
# A loss is one new header and no list: the header of docs/own_loss.md, put into a copy of include/, is listed by
# evaluate_loss and evaluated by it. What is compiled is that header's row and the generated index; everything else is linked
# as it was built. A header that cannot be read stops the configuration with its place.
cmake_minimum_required(VERSION 3.25)
cmake_path(SET root NORMALIZE ${CMAKE_CURRENT_LIST_DIR}/../..)
file(REMOVE_RECURSE ${WORK})
file(COPY ${root}/include DESTINATION ${WORK})

file(READ ${root}/docs/own_loss.md page)
string(FIND "${page}" "```cpp\n" begin)
math(EXPR begin "${begin} + 7")
string(SUBSTRING "${page}" ${begin} -1 header)
string(FIND "${header}" "```" end)
string(SUBSTRING "${header}" 0 ${end} header)
set(place include/gradwire/loss/mine/capped.hpp)
file(WRITE ${WORK}/${place} "${header}")

set(generate ${CMAKE_COMMAND} -DINCLUDE=${WORK}/include -DOUT=${WORK}/rows -P ${root}/examples/support/catalogue.cmake)
execute_process(COMMAND ${generate} COMMAND_ERROR_IS_FATAL ANY)
foreach(source IN ITEMS loss_mine_1 catalogue)
  execute_process(COMMAND ${COMPILER} -std=c++20 ${FLAGS} -O1 -I${WORK}/include -I${WORK}/rows -I${root}/examples/support
                          -c ${WORK}/rows/${source}.cpp -o ${WORK}/${source}.o COMMAND_ERROR_IS_FATAL ANY)
endforeach()
execute_process(COMMAND ${COMPILER} ${OBJECTS} ${WORK}/loss_mine_1.o ${WORK}/catalogue.o ${LIBRARY} ${LIBRARIES}
                        -Wl,-rpath,$ORIGIN -o ${WORK}/evaluate_loss COMMAND_ERROR_IS_FATAL ANY)

execute_process(COMMAND ${WORK}/evaluate_loss --list OUTPUT_VARIABLE list COMMAND_ERROR_IS_FATAL ANY)
if(NOT list MATCHES "yours, 2026.\n +mine::capped +clip=0.2\n")
  message(FATAL_ERROR "--list does not show mine::capped:\n${list}")
endif()
execute_process(COMMAND ${WORK}/evaluate_loss --loss mine::capped --batch ${root}/tests/golden/oracle.json
                OUTPUT_VARIABLE found COMMAND_ERROR_IS_FATAL ANY)
# By hand, in Python: −1/15 Σ of min(r, 1.2)·A where A > 0, r·A where A < 0, over the batch's 15 unmasked tokens.
set(by_hand 0.1688004102623)
if(NOT found MATCHES "\"value\": ${by_hand}[0-9]*,")
  message(FATAL_ERROR "mine::capped is ${by_hand} on the golden batch, but:\n${found}")
endif()
execute_process(COMMAND ${WORK}/evaluate_loss --loss mine::capped --batch ${root}/tests/golden/oracle.json --check
                OUTPUT_VARIABLE found COMMAND_ERROR_IS_FATAL ANY)

string(REPLACE "  offset clip{0.2};" "  std::string clip;" header "${header}")
file(WRITE ${WORK}/${place} "${header}")
execute_process(COMMAND ${generate} RESULT_VARIABLE failed ERROR_VARIABLE message)
if(NOT failed OR NOT message MATCHES "loss/mine/capped.hpp:15: ")
  message(FATAL_ERROR "a parameter that cannot be read is not refused with its place: ${message}")
endif()
message(STATUS "one header, one more loss")
