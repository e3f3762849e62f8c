# Completes the words of progress-tracker in bash. Needs nothing but bash, and awk for job names.

# The options of the command $1, or those before any command: `flags` stand alone, after `valued`
# comes a value.
_progress_tracker_options() {
  flags='-h --help'
  valued='--db --config --log-level --log-file --color'
  case $1 in
    '') flags+=' --version' ;;
    run)
      flags+=' -0 --null --wait --dry-run --json'
      valued+=' --job --images --from --ext --split-pattern -j --jobs --retries --timeout --limit'
      valued+=' --max-errors --progress --metrics-file --checkpoint-interval'
      ;;
    status)
      flags+=' --json -w --watch'
      valued+=' --format --interval'
      ;;
    errors) flags+=' --list --json' ;;
    retry)
      flags+=' --json'
      valued+=' --message'
      ;;
    chain)
      flags+=' --json'
      valued+=' --after'
      ;;
    report) valued+=' -o --output' ;;
    export) valued+=' --csv --json --snapshot' ;;
    doctor) flags+=' --repair --json' ;;
    jobs | explain | reset | remove | batches | import | config) flags+=' --json' ;;
  esac
}

# Puts into `words` what stands before the cursor, a word each. COMP_WORDS has them in pieces, as
# it breaks them at = and : as well.
_progress_tracker_words() {
  local line=$COMP_LINE piece before i
  words=()
  for ((i = 0; i <= COMP_CWORD; ++i)); do
    piece=${COMP_WORDS[i]}
    before=${line%%"$piece"*}
    line=${line#"$before$piece"}
    if [[ ${#words[@]} -gt 0 && -z $before && -n $piece ]]; then
      words[${#words[@]} - 1]+=$piece
    else
      words+=("$piece")
    fi
  done
}

# Puts what the word $1 means into `value`: without its quotes, with ~ and variables replaced. Nothing
# is run for it.
_progress_tracker_value() {
  local text=$1 quote='' character name
  value=
  if [[ $text == \~ || $text == \~/* ]]; then
    value=$HOME
    text=${text:1}
  fi
  while [[ -n $text ]]; do
    character=${text:0:1}
    text=${text:1}
    case $quote$character in
      \'\' | \"\") quote= ;;
      \'?*) value+=$character ;;
      \' | \") quote=$character ;;
      *\\)
        value+=${text:0:1}
        text=${text:1}
        ;;
      *\$)
        if [[ $text =~ ^([A-Za-z_][A-Za-z_0-9]*) || $text =~ ^\{([A-Za-z_][A-Za-z_0-9]*)\} ]]; then
          name=${BASH_REMATCH[1]}
          value+=${!name}
          text=${text:${#BASH_REMATCH[0]}}
        else
          value+=$character
        fi
        ;;
      *) value+=$character ;;
    esac
  done
}

# The names of all jobs, a line each; none if there is no database. $@: how to find it.
_progress_tracker_jobs() {
  timeout 5 "$@" --log-file /dev/null jobs --json 2>/dev/null | LC_ALL=C awk '
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
    }'
}

# What the user typed is compared with the names as they would be typed, in the quotes he began.
# readline replaces `fragment`, which is the end of `current`.
_progress_tracker_complete_jobs() {
  local name typed begun=${current%"$fragment"}
  while IFS= read -r name; do
    [[ $1 == positional && $name == -* ]] && continue
    case $current in
      \'*) typed=\'${name//\'/\'\\\'\'} ;;
      \"*)
        [[ $name == *!* ]] && continue  # nothing in these quotes keeps ! from being replaced
        typed=${name//\\/\\\\}
        typed=${typed//\"/\\\"}
        typed=${typed//\$/\\\$}
        typed=\"${typed//\`/\\\`}
        ;;
      *) printf -v typed %q "$name" ;;
    esac
    [[ $typed == "$current"* ]] && COMPREPLY+=("${typed:${#begun}}")
  done < <(_progress_tracker_jobs "${program[@]}")
}

# $1: -f files, -d directories, -c commands.
_progress_tracker_complete_paths() {
  local path begun=${current%"$fragment"}
  [[ $begun == *[\\\'\"]* ]] && begun=  # in quotes: the fragment is all of it
  [[ $1 == -c ]] || compopt -o filenames 2>/dev/null
  while IFS= read -r path; do
    COMPREPLY+=("${path#"$begun"}")
  done < <(compgen "$1" -- "$begun$fragment")
}

_progress_tracker_complete_words() {
  local begun=${current%"$fragment"} word
  for word in $1; do
    [[ $word == "$current"* ]] && COMPREPLY+=("${word:${#begun}}")
  done
}

# The value of the option $1 of `command`.
_progress_tracker_complete_value() {
  case $1 in
    --log-level) _progress_tracker_complete_words 'debug info warn error off' ;;
    --color) _progress_tracker_complete_words 'auto always never' ;;
    --progress) _progress_tracker_complete_words 'auto bar plain json none' ;;
    --format) _progress_tracker_complete_words 'text json prometheus' ;;
    --job | --after) _progress_tracker_complete_jobs value ;;
    --images) _progress_tracker_complete_paths -d ;;
    --db | --config | --log-file | --from | --metrics-file | -o | --output | --csv | --json | --snapshot)
      _progress_tracker_complete_paths -f
      ;;
  esac
}

# The argument number $1 of `command`, from 0.
_progress_tracker_complete_argument() {
  case $command:$1 in
    status:0 | errors:0 | explain:0 | retry:0 | reset:0 | remove:0 | batches:0 | report:0 | export:0)
      _progress_tracker_complete_jobs "$2"
      ;;
    explain:1 | import:0) _progress_tracker_complete_paths -f ;;
    config:0) _progress_tracker_complete_words show ;;
    run:0 | jobs:0 | doctor:0) ((separated)) || _progress_tracker_complete_words "$flags $valued" ;;
  esac
}

_progress_tracker() {
  local -a words program
  local command='' separated=0 arguments=0 option='' flags valued value current fragment=$2 word i
  COMPREPLY=()
  _progress_tracker_words
  _progress_tracker_value "$1"
  program=("$value")
  _progress_tracker_options ''

  # What is before the word to be completed.
  for ((i = 1; i < ${#words[@]} - 1; ++i)); do
    word=${words[i]}
    if [[ $separated -eq 0 && $word == -- ]]; then
      separated=1
    elif [[ $separated -eq 0 && $word == -* ]]; then
      [[ " $valued " == *" ${word%%=*} "* ]] || continue
      option=${word%%=*}
      if [[ $word == *=* ]]; then
        word=${word#*=}
      else
        ((++i < ${#words[@]} - 1)) || break
        word=${words[i]}
      fi
      if [[ $option == --db || $option == --config ]]; then
        _progress_tracker_value "$word"
        program+=("$option" "$value")
      fi
      option=
    elif [[ -z $command ]]; then
      command=$word
      _progress_tracker_options "$command"
    else
      ((++arguments))
    fi
  done

  current=${words[${#words[@]} - 1]}
  if ((separated)) && [[ $command == run ]]; then
    if ((arguments > 0)) || [[ $current == */* ]]; then
      _progress_tracker_complete_paths -f
    else
      _progress_tracker_complete_paths -c
    fi
  elif [[ -n $option ]]; then
    _progress_tracker_complete_value "$option"
  elif ((!separated)) && [[ $current == --*=* ]]; then
    option=${current%%=*}
    current=${current#*=}
    _progress_tracker_complete_value "$option"
  elif ((!separated)) && [[ $current == -* ]]; then
    _progress_tracker_complete_words "$flags $valued"
  elif [[ -z $command ]]; then
    ((separated)) || _progress_tracker_complete_words \
      'run status jobs errors explain retry reset remove chain batches report export import doctor config'
  elif ((separated)); then
    _progress_tracker_complete_argument "$arguments" any
  else
    _progress_tracker_complete_argument "$arguments" positional
  fi
}

complete -F _progress_tracker progress-tracker
