# SPDX-License-Identifier: Apache-2.0
# cmake -DPROGRAM=evaluate_loss -DWORK=folder -P options.cmake: help is help whatever stands beside it, and nothing that is
# asked for is dropped in silence.
cmake_minimum_required(VERSION 3.25)

function(ends code pattern)
  execute_process(COMMAND ${PROGRAM} ${ARGN} RESULT_VARIABLE result OUTPUT_VARIABLE said ERROR_VARIABLE complained)
  if(NOT result EQUAL code OR NOT "${said}${complained}" MATCHES "${pattern}")
    message(FATAL_ERROR "evaluate_loss ${ARGN} ends with ${result}, not ${code} and /${pattern}/:\n${said}${complained}")
  endif()
endfunction()

ends(0 "--write-docs" --help)
ends(0 "--write-docs" --loss grpo --help)
ends(2 "--write-docs")
ends(2 "--write-docs and --loss do not go together" --write-docs ${WORK} --loss grpo)
ends(2 "--list and --check do not go together" --list --check)
ends(2 "there is no loss called gpro; the nearest are .*grpo" --loss gpro --explain)
ends(0 "verl::vanilla" --loss verl::ppo --explain)
if(EXISTS ${WORK})
  message(FATAL_ERROR "pages were written")
endif()
