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
 * it keeps the kernel from hiding signals from the command, and its end ends all that the job left behind. Where memory is short the
 * kernel is to end the command, and not those who tell of its end.
 */
export const initText = `
[ ! -d "/proc/$$/fd/9" ] || export BERTH_STEPS="/proc/$$/fd/9"
( { echo 500 >/proc/self/oom_score_adj; } 2>/dev/null
  exec 2>&5 5>&- 7>&- 9>&-
  if [ "$1" = source ]; then shift 2; berth_file=$1; shift; . "$berth_file"
  else shift; berth_launch=$BERTH_LAUNCH; unset BERTH_LAUNCH BERTH_INIT; exec $berth_launch "$@"; fi )
berth_code=$?
echo "code $berth_code" >&7
exit $berth_code
`;

/**
 * Ends tasks at their time. Arguments: the data folder of the node agent, its pid, its shell, and the pid of one that did this
 * before it. Each file in \`watch\` is one
 * line: DEADLINE (uptime) GRACE STAGE DEPTH MARK RUN, where DEPTH is how many generations below the launcher are not the job's,
 * MARK \`environ\` where the job has no pid namespace and is also sought by the mark in its environment. TERM and CONT at the deadline, KILL after the grace. USR1 makes it look at once.
 *
 * Who was only just beginning has nobody yet who could hear TERM: it is sent again until somebody does, or the grace is over.
 *
 * Of a lease DEADLINE is `+SECONDS`, the wall time of each of its tasks; the task that has used it up gets a file of its own, named with
 * `@TASK`, whose line ends with that TASK and counts only while it is the one that runs.
 *
 * A file in \`suspended\` is named by a pod. Its first line begins with what is wanted, \`stop\` or \`go\`; each \`run DEPTH MARK FREEZER RUN\`
 * is one to be stopped, by the control group's file FREEZER or (\`-\`) by STOP; each \`span FROM TO\` (uptime) has been stood still. That file is
 * the decision, and what is done here about it may be repeated; what was done is told by the first line, copied to \`stands\` in the pod's folder.
 * Deadlines wait for as long as a pod stands still. Who is ended is let go first.
 */
export const watchdogText = `
berth_data=$1 berth_agent=$2 berth_shell=$3 berth_former=$4
berth_pods=$berth_data/pods
berth_unheard=' ' berth_woken=
trap berth_woken=1 USR1
trap '' HUP INT
berth_leaves=
trap berth_leaves=1 TERM

# Who does its work already is in the middle of it, perhaps: it ends what it has begun, and is not waited for beyond some seconds.
if [ -n "$berth_former" ]; then
  kill -s TERM "$berth_former" 2>/dev/null
  berth_try=30
  while [ "$berth_try" -gt 0 ] && kill -0 "$berth_former" 2>/dev/null; do
    berth_try=$((berth_try - 1))
    sleep 0.1 2>/dev/null || sleep 1
  done
  kill -s KILL "$berth_former" 2>/dev/null
fi

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
  berth_thaw "$4"
}

# Says in the job's error file why it is ended.
berth_tell() {
  berth_task=$berth_task BERTH_NOTICE=1 "$berth_shell" "$berth_pods/$berth_run/task" "$berth_stage" "$(date +%Y-%m-%dT%H:%M:%S)" 2>/dev/null
}

# berth_stood RUN SINCE: sets berth_wanted (\`stop\` while its pod is to stand still) and berth_still, for how many seconds it has since then.
berth_stood() {
  berth_wanted=go berth_still=0
  [ -e "$berth_data/suspended/\${1%%/*}" ] || return 0
  while read -r berth_word berth_from berth_to berth_rest; do
    case $berth_word in
      stop) berth_wanted=stop ;;
      span)
        [ "$berth_from" -ge "$2" ] || berth_from=$2
        [ "$berth_to" -le "$berth_from" ] || berth_still=$((berth_still + berth_to - berth_from))
        ;;
    esac
  done <"$berth_data/suspended/\${1%%/*}"
}

# berth_freeze stop|go FREEZER: whether it is as wanted.
berth_freeze() {
  berth_frozen=
  case $2 in
    */freezer.state)
      if [ "$1" = go ]; then echo THAWED >"$2"; return; fi
      # To ask again wakes them for a moment.
      read -r berth_frozen <"$2"
      [ "$berth_frozen" != FROZEN ] || return 0
      echo FROZEN >"$2"
      read -r berth_frozen <"$2"
      [ "$berth_frozen" = FROZEN ]
      ;;
    */cgroup.freeze)
      if [ "$1" = go ]; then echo 0 >"$2"; return; fi
      echo 1 >"$2"
      while read -r berth_word berth_value; do [ "$berth_word" != frozen ] || berth_frozen=$berth_value; done <"\${2%freeze}events"
      [ "$berth_frozen" = 1 ]
      ;;
  esac
} 2>/dev/null

# berth_thaw RUN: a frozen one hears no signal.
berth_thaw() {
  [ -e "$berth_data/suspended/\${1%%/*}" ] || return 0
  while read -r berth_word berth_rest berth_rest berth_value berth_rest; do
    [ "$berth_word" != run ] || [ "$berth_rest" != "$1" ] || berth_freeze go "$berth_value"
  done <"$berth_data/suspended/\${1%%/*}"
}

# Whether all of berth_tree are stopped, or dead.
berth_stopped() {
  for berth_pid in $berth_tree; do
    { read -r berth_line </proc/$berth_pid/stat; } 2>/dev/null || continue
    berth_line=\${berth_line##*) }
    case $berth_line in [TtZXx]*) ;; *) return 1 ;; esac
  done
}

# Sets berth_launcher to that of the run; false where it is over. Empty: it has not begun.
berth_lives() {
  berth_launcher= berth_ended= berth_born= berth_started=
  while read -r berth_word berth_pid berth_rest; do
    case $berth_word in
      stat) berth_launcher=$berth_pid; berth_born=\${berth_rest##*) } ;;
      ended) berth_ended=1 ;;
    esac
  done 2>/dev/null <"$berth_pods/$1/state"
  [ -z "$berth_ended" ] || return 1
  [ -n "$berth_launcher" ] || return 0
  berth_start_time "$berth_launcher" || return 1
  set -- $berth_born
  [ "\${20}" = "$berth_started" ]
}

# berth_stand stop|go DEPTH MARK FREEZER RUN: whether the run is as wanted now, or over.
berth_stand() {
  berth_lives "$5" || return 0
  [ -n "$berth_launcher" ] || return 1
  if [ "$1" = go ]; then
    berth_freeze go "$4"
    berth_signal CONT "$berth_launcher" "$2" "$3" "$5"
    return 0
  fi
  if [ "$4" != - ]; then
    berth_freeze stop "$4"
    berth_done=$?
    # It ended just before that: who comes after it in this group must not be frozen for it.
    berth_lives "$5" && return "$berth_done"
    berth_freeze go "$4"
    return 0
  fi
  for berth_try in 1 2 3; do
    berth_signal STOP "$berth_launcher" "$2" "$3" "$5"
    # Those that were begun meanwhile are seen now.
    berth_tree_of "$berth_launcher" "$2"
    [ -z "$berth_tree" ] || ! berth_stopped || return 0
  done
  return 1
}

while :; do
  berth_woken=
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
        berth_stood "$berth_run" "\${berth_begun%%.*}"
        [ "$berth_wanted" = go ] && [ "$berth_now" -ge "$((\${berth_begun%%.*} + \${berth_deadline#+} + berth_still))" ] || continue
        [ -e "$berth_watch@$berth_current" ] ||
          echo "0 $berth_grace $berth_stage $berth_skip $berth_mark $berth_run $berth_current" >"$berth_watch@$berth_current"
        continue
        ;;
    esac
    [ -n "$berth_run" ] || continue
    berth_due=1
    if [ "$berth_now" -lt "$berth_deadline" ]; then
      case "$berth_unheard" in *" $berth_run@$berth_task "*) berth_due= ;; *) continue ;; esac
    elif [ "$berth_stage" != kill ] && [ "$berth_deadline" -gt 0 ]; then
      berth_stood "$berth_run" 0
      [ "$berth_wanted" = go ] && [ "$berth_now" -ge "$((berth_deadline + berth_still))" ] || continue
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
    berth_thaw "$berth_run"
  done
  for berth_path in "$berth_data"/suspended/*; do
    [ -e "$berth_path" ] || continue
    berth_pod=$berth_pods/\${berth_path##*/}
    if [ ! -d "$berth_pod" ]; then rm -f "$berth_path"; continue; fi
    berth_told= berth_first= berth_all=1
    { read -r berth_told <"$berth_pod/stands"; } 2>/dev/null
    while read -r berth_word berth_skip berth_mark berth_freezer berth_run; do
      if [ -z "$berth_first" ]; then
        berth_first="$berth_word $berth_skip $berth_mark $berth_freezer"
        berth_wanted=$berth_word
        if [ "$berth_first" = "$berth_told" ]; then
          [ "$berth_wanted" = stop ] || break
        fi
        berth_any=1
        continue
      fi
      [ "$berth_word" = run ] || continue
      # Stopped processes make no others; somebody else may have woken them, which is looked for every sixteen seconds.
      [ "$berth_freezer" != - ] || [ "$berth_first" != "$berth_told" ] || [ "$((berth_now % 16))" = 0 ] || continue
      berth_stand "$berth_wanted" "$berth_skip" "$berth_mark" "$berth_freezer" "$berth_run" || berth_all=
    done <"$berth_path"
    [ -z "$berth_all" ] || [ "$berth_first" = "$berth_told" ] || echo "$berth_first" >"$berth_pod/stands"
  done 2>/dev/null
  [ -z "$berth_leaves" ] || exit 0
  if [ -z "$berth_any" ]; then
    kill -0 "$berth_agent" 2>/dev/null || exit 0
    berth_unheard=' '
    [ -z "$berth_woken" ] || continue
    sleep 10 &
  else
    [ -z "$berth_woken" ] || continue
    sleep 1 &
  fi
  berth_sleep=$!
  wait "$berth_sleep"
  kill "$berth_sleep" 2>/dev/null
  [ -z "$berth_leaves" ] || exit 0
done
`;
