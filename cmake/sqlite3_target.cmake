# CMake 4.3 calls the target SQLite3::SQLite3 and will drop SQLite::SQLite3, the only name that
# older versions have. Gives whichever is missing. A macro: an alias needs the caller's scope.
macro(progress_tracker_sqlite3_target)
  if(TARGET SQLite3::SQLite3 AND NOT TARGET SQLite::SQLite3)
    add_library(SQLite::SQLite3 ALIAS SQLite3::SQLite3)
  elseif(TARGET SQLite::SQLite3 AND NOT TARGET SQLite3::SQLite3)
    add_library(SQLite3::SQLite3 ALIAS SQLite::SQLite3)
  endif()
endmacro()
