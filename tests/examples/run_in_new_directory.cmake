# cmake -DPROGRAM=... -DDIRECTORY=... -P run_in_new_directory.cmake: runs the program twice over one
# good and one broken image, first where nothing else is, then over what it left.
file(REMOVE_RECURSE "${DIRECTORY}")
file(MAKE_DIRECTORY "${DIRECTORY}")
string(ASCII 255 216 start_of_a_jpeg)
file(WRITE "${DIRECTORY}/photos/good.jpg" "${start_of_a_jpeg}")
file(WRITE "${DIRECTORY}/photos/broken.jpg" "GIF89a")

set(first_says "this run: 1 good, 1 bad\n")
string(REPLACE "1 good, 1 bad" "0 good, 0 bad" second_says "${first_says}")
foreach(run IN ITEMS first second)
  execute_process(
    COMMAND "${PROGRAM}" photos
    WORKING_DIRECTORY "${DIRECTORY}"
    OUTPUT_VARIABLE output
    COMMAND_ERROR_IS_FATAL ANY
  )
  if(NOT output STREQUAL ${run}_says)
    message(FATAL_ERROR "the ${run} run said:\n${output}\nand not:\n${${run}_says}")
  endif()
endforeach()
