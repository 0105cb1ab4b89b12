/**
 * The sh programs that hold jobs. They outlive every Node.js process, so all that must happen without one happens here:
 * recording start and end, and ending a job at its time. POSIX sh; on the paths that every job takes only builtins.
 */

/**
 * Runs tasks one after the other: reads `POD-UID/CONTAINER.N` from its input, tells the end on its output. File descriptor
 * 8 is the folder of pods, opened before the sandbox hid it. A task whose file `state` exists was begun before, by whomever, and is
 * left alone: making that file is the decision to run it. Where the disk has no room for it, nothing is begun (\`full\`); its first
 * block then has room for the end too, which is tried until it is written. One task at a time in the foreground: a background job of sh
 * would ignore SIGINT for ever.
 *
 * `state` has one fact a line: `stat` (the launcher's /proc/self/stat), `uptime`, words of the shell about a signal, `code` (from
 * the task's first process), `ending` (why the watchdog ended it), `ended`.
 *
 * `lease POD-UID/CONTAINER.N` is several tasks of an array, listed in the file `lease`. For each, a file named by the task's index is
 * the decision to run it (the agent makes it to take the task away), `current` names it, and `state` has `begin`, what its control
 * group measured, and `end`. File descriptors 3 and 4 are the control groups of memory and of cpu, where there are any.
 */
export const launcherText = `
berth_pods=/proc/self/fd/8
berth_group=/proc/self/fd/3

# What the control group counted since the last look: bytes at most, time, kills for want of memory.
berth_measure() {
  berth_peak= berth_cpu= berth_kills=
  if [ -e "$berth_group/memory.oom_control" ]; then
    read -r berth_peak <"$berth_group/memory.max_usage_in_bytes"
    echo 0 >"$berth_group/memory.max_usage_in_bytes"
    [ ! -e /proc/self/fd/4/cpuacct.usage ] || read -r berth_cpu </proc/self/fd/4/cpuacct.usage
    while read -r berth_word berth_value; do [ "$berth_word" != oom_kill ] || berth_kills=$berth_value; done <"$berth_group/memory.oom_control"
    echo "group 1 \${berth_peak:--} \${berth_cpu:--} \${berth_kills:--}" >&7
  elif [ -e "$berth_group/memory.events" ]; then
    [ ! -e "$berth_group/memory.peak" ] || read -r berth_peak <"$berth_group/memory.peak"
    read -r berth_word berth_cpu </proc/self/fd/4/cpu.stat
    while read -r berth_word berth_value; do [ "$berth_word" != oom_kill ] || berth_kills=$berth_value; done <"$berth_group/memory.events"
    echo "group 2 \${berth_peak:--} \${berth_cpu:--} \${berth_kills:--}" >&7
  else
    times >&7
  fi 2>/dev/null
}

while IFS= read -r berth_line; do
  berth_run=\${berth_line#lease }
  berth_claimed= berth_told=
  read -r berth_uptime berth_rest </proc/uptime
  read -r berth_stat </proc/self/stat
  set -C
  { berth_claimed=1; echo "stat $berth_stat
uptime $berth_uptime" && berth_told=1; } 2>/dev/null >"$berth_pods/$berth_run/state"
  set +C
  if [ -z "$berth_told" ]; then
    if [ -n "$berth_claimed" ]; then
      rm -f "$berth_pods/$berth_run/state"
      echo "full $berth_run"
    elif [ -e "$berth_pods/$berth_run/state" ]; then echo "taken $berth_run"
    else echo "full $berth_run"
    fi
    continue
  fi
  {
    if [ "$berth_line" = "$berth_run" ]; then
      (. "$berth_pods/$berth_run/task") </dev/null 2>&7
      berth_code=$?
    else
      . "$berth_pods/$berth_run/lease"
      berth_over=$((\${berth_uptime%%.*} + berth_seconds))
      for berth_task in $berth_tasks; do
        read -r berth_uptime berth_rest </proc/uptime
        [ "\${berth_uptime%%.*}" -lt "$berth_over" ] || break
        berth_claimed=
        set -C
        { berth_claimed=1; } 2>/dev/null >"$berth_pods/$berth_run/$berth_task"
        set +C
        [ -n "$berth_claimed" ] || continue
        # What cannot be told is not begun.
        echo "$berth_task $berth_uptime" >"$berth_pods/$berth_run/current" || continue
        echo "begin $berth_task $berth_uptime" >&7 || continue
        (. "$berth_pods/$berth_run/task") </dev/null 2>&7
        berth_code=$?
        read -r berth_uptime berth_rest </proc/uptime
        berth_measure
        until echo "end $berth_code $berth_uptime" >&7; do sleep 1; echo >&7; done
      done
      echo - >"$berth_pods/$berth_run/current"
      berth_code=0
    fi
    read -r berth_uptime berth_rest </proc/uptime
    times >&7
    until echo "ended $berth_code $berth_uptime" >&7; do sleep 1; echo >&7; done
  } 7>>"$berth_pods/$berth_run/state" 2>&7
  echo "ended $berth_run"
done
`;

/**
 * First process of a task: starts the command beside itself and reports how it ended. As process 1 of a pid namespace
 * it keeps the kernel from hiding signals from the command, and its end ends all that the job left behind.
 */
export const initText = `
( exec 2>&5 5>&- 7>&-
  if [ "$1" = source ]; then shift 2; berth_file=$1; shift; . "$berth_file"
  else shift; berth_launch=$BERTH_LAUNCH; unset BERTH_LAUNCH BERTH_INIT; exec $berth_launch "$@"; fi )
berth_code=$?
echo "code $berth_code" >&7
exit $berth_code
`;

/**
 * Ends tasks at their time. Arguments: the data folder of the node agent, its pid, its shell. Each file in \`watch\` is one
 * line: DEADLINE (uptime) GRACE STAGE DEPTH MARK RUN, where DEPTH is how many generations below the launcher are not the job's,
 * MARK \`environ\` where the job has no pid namespace and is also sought by the mark in its environment. TERM and CONT at the deadline, KILL after the grace. USR1 makes it look at once.
 *
 * Who was only just beginning has nobody yet who could hear TERM: it is sent again until somebody does, or the grace is over.
 *
 * Of a lease DEADLINE is `+SECONDS`, the wall time of each of its tasks; the task that has used it up gets a file of its own, named with
 * `@TASK`, whose line ends with that TASK and counts only while it is the one that runs.
 */
export const watchdogText = `
berth_data=$1 berth_agent=$2 berth_shell=$3
berth_pods=$berth_data/pods
berth_unheard=' '
trap : USR1
trap '' HUP INT

berth_start_time() {
  read -r berth_line 2>/dev/null </proc/$1/stat || return 1
  set -- \${berth_line##*) }
  berth_started=\${20}
}

# Sets berth_tree to the pids below $1, those of the first $2 generations left out: they are in berth_above.
berth_tree_of() {
  berth_pairs=
  for berth_file in /proc/[0-9]*/stat; do
    { read -r berth_line <"$berth_file"; } 2>/dev/null || continue
    berth_pid=\${berth_line%% *}
    berth_line=\${berth_line##*) }
    berth_line=\${berth_line#* }
    berth_pairs="$berth_pairs $berth_pid:\${berth_line%% *}"
  done
  berth_generation=" $1 " berth_depth=0 berth_tree= berth_above="$1"
  while [ -n "$berth_generation" ]; do
    berth_next=
    for berth_pair in $berth_pairs; do
      case $berth_generation in *" \${berth_pair#*:} "*) berth_next="$berth_next \${berth_pair%:*}" ;; esac
    done
    berth_depth=$((berth_depth + 1))
    [ -n "$berth_next" ] || break
    if [ "$berth_depth" -le "$2" ]; then berth_above="$berth_above $berth_next"; else berth_tree="$berth_tree $berth_next"; fi
    berth_generation="$berth_next "
  done
}

# berth_signal SIGNAL LAUNCHER DEPTH MARK RUN [TASK]
berth_signal() {
  berth_tree_of "$2" "$3"
  # The tree is that of the lease's next task if this one has ended meanwhile.
  if [ -n "$6" ]; then
    berth_current=
    { read -r berth_current berth_rest <"$berth_pods/$5/current"; } 2>/dev/null
    [ "$berth_current" = "$6" ] || return
  fi
  # Without a pid namespace some may have left the tree; the mark in their environment stays.
  if [ "$4" = environ ]; then
    # Who is stopped makes no more of them while they are sought.
    [ "$1" != KILL ] || [ -z "$berth_tree" ] || kill -s STOP $berth_tree 2>/dev/null
    for berth_file in $(grep -slF "BERTH_POD_UID=\${5%%/*}" /proc/[0-9]*/environ); do
      berth_pid=\${berth_file#/proc/}
      berth_pid=\${berth_pid%/environ}
      case " $berth_tree $berth_above $$ " in *" $berth_pid "*) ;; *) kill -s "$1" "$berth_pid" 2>/dev/null ;; esac
    done
  fi
  # Last, for the launcher tells the end as soon as these are gone.
  [ -z "$berth_tree" ] || kill -s "$1" $berth_tree 2>/dev/null
}

# berth_ask LAUNCHER DEPTH MARK RUN TASK: TERM, or a note that nobody was there to hear it.
berth_ask() {
  berth_signal TERM "$@"
  case "$berth_unheard" in *" $4@$5 "*) berth_unheard=\${berth_unheard%%" $4@$5 "*}" "\${berth_unheard#*" $4@$5 "} ;; esac
  if [ -z "$berth_tree" ]; then berth_unheard="$berth_unheard$4@$5 "
  else berth_signal CONT "$@"
  fi
}

# Says in the job's error file why it is ended.
berth_tell() {
  berth_task=$berth_task BERTH_NOTICE=1 "$berth_shell" "$berth_pods/$berth_run/task" "$berth_stage" "$(date +%Y-%m-%dT%H:%M:%S)" 2>/dev/null
}

while :; do
  read -r berth_now berth_rest </proc/uptime
  berth_now=\${berth_now%%.*}
  berth_any=
  for berth_watch in "$berth_data"/watch/*; do
    [ -e "$berth_watch" ] || continue
    berth_any=1
    { read -r berth_deadline berth_grace berth_stage berth_skip berth_mark berth_run berth_task <"$berth_watch"; } 2>/dev/null || continue
    case $berth_deadline in
      +*)
        { read -r berth_current berth_begun berth_rest <"$berth_pods/$berth_run/current"; } 2>/dev/null || continue
        [ -n "$berth_begun" ] && [ "$berth_now" -ge "$((\${berth_begun%%.*} + \${berth_deadline#+}))" ] || continue
        [ -e "$berth_watch@$berth_current" ] ||
          echo "0 $berth_grace $berth_stage $berth_skip $berth_mark $berth_run $berth_current" >"$berth_watch@$berth_current"
        continue
        ;;
    esac
    [ -n "$berth_run" ] || continue
    berth_due=1
    if [ "$berth_now" -lt "$berth_deadline" ]; then
      case "$berth_unheard" in *" $berth_run@$berth_task "*) berth_due= ;; *) continue ;; esac
    fi
    berth_launcher= berth_ended= berth_born= berth_current=
    while read -r berth_word berth_pid berth_rest; do
      case $berth_word in
        stat) berth_launcher=$berth_pid; set -- \${berth_rest##*) }; berth_born=\${20} ;;
        begin) berth_current=$berth_pid berth_ended= ;;
        end | ended) berth_ended=1 ;;
      esac
    done 2>/dev/null <"$berth_pods/$berth_run/state"
    # Not begun yet: the launcher will find the deadline passed at the next look.
    if [ -z "$berth_launcher" ]; then
      [ -e "$berth_pods/$berth_run" ] || rm -f "$berth_watch"
      continue
    fi
    berth_started=
    if ! berth_start_time "$berth_launcher" || [ "$berth_started" != "$berth_born" ]; then
      rm -f "$berth_watch" "\${berth_watch%@*}"
      continue
    fi
    if [ -n "$berth_ended" ] || [ "$berth_current" != "$berth_task" ]; then
      rm -f "$berth_watch"
      continue
    fi
    case $berth_stage in
      kill)
        if [ -z "$berth_due" ]; then
          berth_ask "$berth_launcher" "$berth_skip" "$berth_mark" "$berth_run" "$berth_task"
          continue
        fi
        ;;
      *)
        echo "ending $berth_stage $berth_task" >>"$berth_pods/$berth_run/state"
        if [ "$berth_grace" -gt 0 ]; then
          berth_tell
          berth_ask "$berth_launcher" "$berth_skip" "$berth_mark" "$berth_run" "$berth_task"
          # Last, so that whoever dies meanwhile leaves none unasked. In place, and not longer than before: a full disk must not keep
          # a job from its end.
          echo "$((berth_now + berth_grace)) 0 kill $berth_skip $berth_mark $berth_run $berth_task" 1<>"$berth_watch"
          continue
        fi
        berth_tell
        ;;
    esac
    # Of a pid namespace the first process is enough; it is asked for again until the launcher has told the end.
    berth_signal KILL "$berth_launcher" "$((berth_skip > 0 ? berth_skip - 1 : 0))" "$berth_mark" "$berth_run" "$berth_task"
  done
  if [ -z "$berth_any" ]; then
    kill -0 "$berth_agent" 2>/dev/null || exit 0
    berth_unheard=' '
    sleep 10 &
  else
    sleep 1 &
  fi
  berth_sleep=$!
  wait "$berth_sleep"
  kill "$berth_sleep" 2>/dev/null
done
`;
