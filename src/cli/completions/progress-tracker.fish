# Completes the words of progress-tracker in fish.

# The words before the cursor, taken apart: sets command, separator (the place of the first --, or
# nothing), arguments (how many of the command are there) and database (how to find it).
function __progress_tracker_scan --no-scope-shadowing
    set -l words (commandline -opc)
    set command
    set separator
    set arguments 0
    set database $words[1]
    set -l valued --db --config --log-level --log-file --color --job --images --from --ext \
        --split-pattern -j --jobs --retries --timeout --limit --max-errors --progress \
        --metrics-file --checkpoint-interval --format --interval --message --after -o --output \
        --csv --snapshot
    set -l at 2
    while test $at -le (count $words)
        set -l word $words[$at]
        if test -z "$separator" -a "$word" = --
            set separator $at
        else if test -z "$separator" && string match -q -- '-*' $word
            set -l parts (string split -m 1 = -- $word)
            if contains -- $parts[1] $valued; or test "$command $parts[1]" = "export --json"
                if test (count $parts) -eq 1
                    set at (math $at + 1)
                    set parts $parts $words[$at]
                end
                if contains -- $parts[1] --db --config
                    set database $database $parts[1] (__progress_tracker_value $parts[2])
                end
            end
        else if test -z "$command"
            set command $word
        else
            set arguments (math $arguments + 1)
        end
        set at (math $at + 1)
    end
end

# A word with ~ and a variable at its beginning replaced.
function __progress_tracker_value
    set -l name (string match -r -- '^\$(\w+)(.*)$' $argv[1])
    if test (count $name) -eq 3
        echo -- $$name[2]$name[3]
    else
        string replace -r -- '^~(?=/|$)' $HOME $argv[1]
    end
end

# Whether the command is one of $argv; without $argv, whether there is none yet.
function __progress_tracker_on
    set -l command
    set -l separator
    set -l arguments
    set -l database
    __progress_tracker_scan
    if test (count $argv) -eq 0
        test -z "$command" -a -z "$separator"
    else
        contains -- "$command" $argv
    end
end

# Whether argument number $argv[1], from 1, of one of the other $argv is to be completed.
function __progress_tracker_argument
    set -l command
    set -l separator
    set -l arguments
    set -l database
    __progress_tracker_scan
    test $arguments -eq (math $argv[1] - 1); and contains -- "$command" $argv[2..]
end

# Whether the cursor is in the command line that `run` is given.
function __progress_tracker_in_given_command
    set -l command
    set -l separator
    set -l arguments
    set -l database
    __progress_tracker_scan
    test "$command" = run -a -n "$separator"
end

# Completes that command line as one of its own.
function __progress_tracker_given_command
    set -l command
    set -l separator
    set -l arguments
    set -l database
    __progress_tracker_scan
    set -l words (commandline -opc)
    set words (string escape -- $words[(math $separator + 1)..])
    set -l line (string join -- ' ' $words (commandline -ct))
    complete --do-complete="$line"
end

# The names of all jobs; none if there is no database. With `positional` only those that are not
# taken for an option.
function __progress_tracker_jobs
    set -l command
    set -l separator
    set -l arguments
    set -l database
    __progress_tracker_scan
    set -l all '.*'
    test "$argv[1]" = positional -a -z "$separator"; and set all '[^-].*'
    timeout 5 $database --log-file /dev/null jobs --json 2>/dev/null | LC_ALL=C awk '
    function hex(digits,   value, i) {
      for (i = 1; i <= 4; ++i)
        value = value * 16 + index("0123456789abcdef", tolower(substr(digits, i, 1))) - 1
      return value
    }
    function utf8(code) {
      if (code < 128) return sprintf("%c", code)
      if (code < 2048) return sprintf("%c%c", 192 + int(code / 64), 128 + code % 64)
      if (code < 65536)
        return sprintf("%c%c%c", 224 + int(code / 4096), 128 + int(code / 64) % 64, 128 + code % 64)
      return sprintf("%c%c%c%c", 240 + int(code / 262144), 128 + int(code / 4096) % 64,
                     128 + int(code / 64) % 64, 128 + code % 64)
    }
    # The JSON string that begins `text`, its opening quote left out.
    function string_in(text,   name, escaped, code) {
      while ((escaped = index(text, backslash)) > 0 && escaped < index(text, quote)) {
        name = name substr(text, 1, escaped - 1)
        if (substr(text, escaped + 1, 1) != "u") {
          name = name substr(text, escaped + 1, 1)
          text = substr(text, escaped + 2)
          continue
        }
        code = hex(substr(text, escaped + 2, 4))
        text = substr(text, escaped + 6)
        if (code >= 55296 && code < 57344) {  # the first of a pair
          code = 65536 + (code - 55296) * 1024 + hex(substr(text, 3, 4)) - 56320
          text = substr(text, 7)
        }
        name = name utf8(code)
      }
      return name substr(text, 1, index(text, quote) - 1)
    }
    BEGIN { quote = sprintf("%c", 34); backslash = sprintf("%c", 92) }
    {
      count = split($0, part, /"job":"/)
      for (i = 2; i <= count; ++i) print string_in(part[i])
    }' | string match -r -- "^$all\$"
end

# The directories that fit the value of an option, which may be in one word with it.
function __progress_tracker_directories
    __fish_complete_directories (commandline -ct | string replace -r -- '^--[a-z-]+=' '')
end

complete -c progress-tracker -f

# Before and after every command.
complete -c progress-tracker -s h -l help -d 'Print help and exit'
complete -c progress-tracker -l db -rF -d 'The database'
complete -c progress-tracker -l config -rF -d 'Take settings from this YAML file'
complete -c progress-tracker -l log-level -xa 'debug info warn error off' -d 'What the library logs'
complete -c progress-tracker -l log-file -rF -d 'Append what is logged to this file'
complete -c progress-tracker -l color -xa 'auto always never' -d 'When to use colour'

# Before any.
complete -c progress-tracker -n __progress_tracker_on -l version -d 'Print the version and exit'
complete -c progress-tracker -n __progress_tracker_on -a run -d 'Run a command for each image of a job'
complete -c progress-tracker -n __progress_tracker_on -a status -d 'Show how far a job is'
complete -c progress-tracker -n __progress_tracker_on -a jobs -d 'List the jobs'
complete -c progress-tracker -n __progress_tracker_on -a errors -d 'Show what failed, by message'
complete -c progress-tracker -n __progress_tracker_on -a explain -d 'Tell the story of one image'
complete -c progress-tracker -n __progress_tracker_on -a retry -d 'Make images in error pending again'
complete -c progress-tracker -n __progress_tracker_on -a reset -d 'Make images pending again whose worker died'
complete -c progress-tracker -n __progress_tracker_on -a remove -d 'Remove a job from the record'
complete -c progress-tracker -n __progress_tracker_on -a chain -d 'Make a job that is fed by another'
complete -c progress-tracker -n __progress_tracker_on -a batches -d 'List the upload batches of a job'
complete -c progress-tracker -n __progress_tracker_on -a report -d 'Write a page about a job that can be passed on'
complete -c progress-tracker -n __progress_tracker_on -a export -d "Write a job's images, or a copy of the database"
complete -c progress-tracker -n __progress_tracker_on -a import -d 'Bring over a database of the Python progress tracker'
complete -c progress-tracker -n __progress_tracker_on -a doctor -d 'Examine the database, and repair it'
complete -c progress-tracker -n __progress_tracker_on -a config -d 'Show the settings and where they come from'

complete -c progress-tracker -n '__progress_tracker_on run' -l job -xa '(__progress_tracker_jobs)' -d 'The name of the job'
complete -c progress-tracker -n '__progress_tracker_on run' -l images -xa '(__progress_tracker_directories)' -d 'Take the images below this directory'
complete -c progress-tracker -n '__progress_tracker_on run' -l from -rF -d 'Take the paths in this file'
complete -c progress-tracker -n '__progress_tracker_on run' -s 0 -l null -d 'Paths in the list end in NUL'
complete -c progress-tracker -n '__progress_tracker_on run' -l ext -x -d 'Extensions to look for'
complete -c progress-tracker -n '__progress_tracker_on run' -l split-pattern -x -d 'The split of an image is what this finds'
complete -c progress-tracker -n '__progress_tracker_on run' -s j -l jobs -x -d 'Commands at a time'
complete -c progress-tracker -n '__progress_tracker_on run' -l retries -x -d 'Try a failed image so many times more'
complete -c progress-tracker -n '__progress_tracker_on run' -l timeout -x -d 'Seconds a command may take'
complete -c progress-tracker -n '__progress_tracker_on run' -l limit -x -d 'Work on at most so many images'
complete -c progress-tracker -n '__progress_tracker_on run' -l max-errors -x -d 'Stop once so many images failed'
complete -c progress-tracker -n '__progress_tracker_on run' -l wait -d 'Wait also for what other runs have in work'
complete -c progress-tracker -n '__progress_tracker_on run' -l dry-run -d 'Say what would be run, and run nothing'
complete -c progress-tracker -n '__progress_tracker_on run' -l progress -xa 'auto bar plain json none' -d 'How to show progress'
complete -c progress-tracker -n '__progress_tracker_on run' -l json -d 'At the end one JSON document'
complete -c progress-tracker -n '__progress_tracker_on run' -l metrics-file -rF -d 'Keep the figures in this file'
complete -c progress-tracker -n '__progress_tracker_on run' -l checkpoint-interval -x -d 'Write the counts every so many images'
complete -c progress-tracker -n __progress_tracker_in_given_command -xa '(__progress_tracker_given_command)'

complete -c progress-tracker -n '__progress_tracker_on status' -l format -xa 'text json prometheus' -d 'How to show it'
complete -c progress-tracker -n '__progress_tracker_on status' -s w -l watch -d 'Show it again and again'
complete -c progress-tracker -n '__progress_tracker_on status' -l interval -x -d 'Seconds between two looks'
complete -c progress-tracker -n '__progress_tracker_on errors' -l list -d 'Every image in error, a line each'
complete -c progress-tracker -n '__progress_tracker_on retry' -l message -x -d 'Only those with this message'
complete -c progress-tracker -n '__progress_tracker_on chain' -l after -xa '(__progress_tracker_jobs)' -d 'The job that feeds it'
complete -c progress-tracker -n '__progress_tracker_on report' -s o -l output -rF -d 'The page'
complete -c progress-tracker -n '__progress_tracker_on export' -l csv -rF -d 'The images as CSV'
complete -c progress-tracker -n '__progress_tracker_on export' -l json -rF -d 'The job and its images as JSON'
complete -c progress-tracker -n '__progress_tracker_on export' -l snapshot -rF -d 'A copy of the whole database'
complete -c progress-tracker -n '__progress_tracker_on doctor' -l repair -d 'Mend what can be mended without loss'
complete -c progress-tracker -n '__progress_tracker_on status jobs errors explain retry reset remove chain batches import doctor config' -l json -d 'One JSON document instead of text'

complete -c progress-tracker -n '__progress_tracker_argument 1 status errors explain retry reset remove batches report export' -a '(__progress_tracker_jobs positional)'
complete -c progress-tracker -n '__progress_tracker_argument 2 explain' -F
complete -c progress-tracker -n '__progress_tracker_argument 1 import' -F
complete -c progress-tracker -n '__progress_tracker_argument 1 config' -a show
