# What `cmake --install` puts where. Component Development is for those who compile against the
# library, Runtime for those who use the tool. Nothing installed names a path of this machine.
include(CMakePackageConfigHelpers)
include(GNUInstallDirs)

set(PROGRESS_TRACKER_INSTALL_CMAKEDIR
    "${CMAKE_INSTALL_LIBDIR}/cmake/progress_tracker"
    CACHE STRING "Directory of the CMake package, relative to the install prefix"
)

install(
  TARGETS progress_tracker
  EXPORT progress_tracker_targets
  ARCHIVE COMPONENT Development
  FILE_SET HEADERS COMPONENT Development
)
install(
  EXPORT progress_tracker_targets
  NAMESPACE progress_tracker::
  DESTINATION "${PROGRESS_TRACKER_INSTALL_CMAKEDIR}"
  COMPONENT Development
)

# An export set of its own: only who asks for the component needs GoogleTest.
install(
  TARGETS progress_tracker_testing
  EXPORT progress_tracker_testing_targets
  FILE_SET HEADERS COMPONENT Development
)
install(
  EXPORT progress_tracker_testing_targets
  NAMESPACE progress_tracker::
  DESTINATION "${PROGRESS_TRACKER_INSTALL_CMAKEDIR}"
  COMPONENT Development
)

configure_package_config_file(
  cmake/progress_tracker-config.cmake.in
  "${PROJECT_BINARY_DIR}/package/progress_tracker-config.cmake"
  INSTALL_DESTINATION "${PROGRESS_TRACKER_INSTALL_CMAKEDIR}"
  NO_SET_AND_CHECK_MACRO
)
write_basic_package_version_file(
  "${PROJECT_BINARY_DIR}/package/progress_tracker-config-version.cmake"
  COMPATIBILITY SameMinorVersion
)
install(
  FILES "${PROJECT_BINARY_DIR}/package/progress_tracker-config.cmake"
        "${PROJECT_BINARY_DIR}/package/progress_tracker-config-version.cmake"
        cmake/sqlite3_target.cmake
  DESTINATION "${PROGRESS_TRACKER_INSTALL_CMAKEDIR}"
  COMPONENT Development
)

# The .pc file finds its prefix from its own place, so that it survives being moved.
set(pkgconfig_dir "${CMAKE_INSTALL_LIBDIR}/pkgconfig")
if(IS_ABSOLUTE "${CMAKE_INSTALL_LIBDIR}")
  set(pc_prefix "${CMAKE_INSTALL_PREFIX}")
  set(pc_libdir "${CMAKE_INSTALL_LIBDIR}")
else()
  file(RELATIVE_PATH pc_up "/prefix/${pkgconfig_dir}" "/prefix")
  string(REGEX REPLACE "/$" "" pc_up "${pc_up}")
  set(pc_prefix "\${pcfiledir}/${pc_up}")
  set(pc_libdir "\${prefix}/${CMAKE_INSTALL_LIBDIR}")
endif()
if(IS_ABSOLUTE "${CMAKE_INSTALL_INCLUDEDIR}")
  set(pc_includedir "${CMAKE_INSTALL_INCLUDEDIR}")
else()
  set(pc_includedir "\${prefix}/${CMAKE_INSTALL_INCLUDEDIR}")
endif()
configure_file(
  cmake/progress_tracker.pc.in "${PROJECT_BINARY_DIR}/package/progress_tracker.pc" @ONLY
)
install(
  FILES "${PROJECT_BINARY_DIR}/package/progress_tracker.pc"
  DESTINATION "${pkgconfig_dir}"
  COMPONENT Development
)

if(TARGET progress_tracker_cli)
  install(TARGETS progress_tracker_cli RUNTIME COMPONENT Runtime)
  install(
    FILES src/cli/progress-tracker.1
    DESTINATION "${CMAKE_INSTALL_MANDIR}/man1"
    COMPONENT Runtime
  )
  # Each shell looks for its file under this very name.
  set(completions src/cli/completions)
  install(
    FILES ${completions}/progress-tracker.bash
    DESTINATION "${CMAKE_INSTALL_DATADIR}/bash-completion/completions"
    RENAME progress-tracker
    COMPONENT Runtime
  )
  install(
    FILES ${completions}/_progress-tracker
    DESTINATION "${CMAKE_INSTALL_DATADIR}/zsh/site-functions"
    COMPONENT Runtime
  )
  install(
    FILES ${completions}/progress-tracker.fish
    DESTINATION "${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d"
    COMPONENT Runtime
  )
endif()
