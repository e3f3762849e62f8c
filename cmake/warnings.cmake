# progress_tracker_warnings(<target>): the warnings our own code is kept free of. Never inherited.
function(progress_tracker_warnings target)
  target_compile_options(${target} PRIVATE -Wall -Wextra -Wconversion -Wshadow)
  if(PROGRESS_TRACKER_WARNINGS_AS_ERRORS)
    target_compile_options(${target} PRIVATE -Werror)
  endif()
endfunction()
