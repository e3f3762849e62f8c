# cmake -DPROGRAM=... -DDIRECTORY=... -P run_in_new_directory.cmake: runs the program twice, first
# where nothing is, then over what it left: a job that is done must not be in the way.
file(REMOVE_RECURSE "${DIRECTORY}")
file(MAKE_DIRECTORY "${DIRECTORY}")
foreach(run IN ITEMS first second)
  execute_process(
    COMMAND "${PROGRAM}" WORKING_DIRECTORY "${DIRECTORY}" COMMAND_ERROR_IS_FATAL ANY
  )
endforeach()
