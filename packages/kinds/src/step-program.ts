/**
 * Steps of a job: what stands as `srun` in the search path of its script, and what the other nodes of the job wait with. POSIX sh,
 * so that it works in any image, and with every process of Berth dead. The contract is docs/runtime.md.
 *
 * Srun and the nodes of a job meet in one folder (`BERTH_STEPS`), by FIFOs and small files:
 * `node.I` is read by the job's node I; `next.JOB` has the number of the next step; `active.JOB.STEP` what CPUs a step holds;
 * `record.JOB.STEP` what is told of it later; `step.JOB.STEP/` is the step itself: `job` (what its nodes need to know), `events` (ends of
 * tasks, read by srun), `o.N` and `r.N` (output and error of node N), `i.RANK` (a task's input), `p.N` (process groups of node N).
 */
import { srunText } from "./srun-text.ts";

const commonText = `#!/bin/sh
# Starts steps of a job, and (serve, node) does its part of them on the job's other nodes, as docs/runtime.md of Berth says.
# POSIX sh, and mkdir, mkfifo, cat, rm, sleep. No other process is needed for it: what runs goes on with all of Berth's dead.
berth_self=$0
berth_folder=\${BERTH_STEPS-}
berth_job=\${SLURM_JOB_ID-}

berth_say() { echo "srun: $1" >&2; }
berth_fail() { berth_say "error: $1"; exit "\${2:-1}"; }

# berth_quote TEXT: sets berth_quoted to it as a word that sh reads back.
berth_quote() {
  berth_rest=$1 berth_quoted=
  while :; do
    case $berth_rest in
      *\\'*) berth_quoted=$berth_quoted\${berth_rest%%\\'*}\\'\\\\\\'\\'; berth_rest=\${berth_rest#*\\'} ;;
      *) break ;;
    esac
  done
  berth_quoted="'$berth_quoted$berth_rest'"
}

# berth_expand LIST: sets berth_list to the names of \`n[1-3,07],m\`.
berth_expand() {
  berth_rest=$1, berth_list=
  while [ -n "$berth_rest" ]; do
    case \${berth_rest%%,*} in
      *'['*)
        berth_prefix=\${berth_rest%%'['*}
        berth_ranges=\${berth_rest#*'['}
        berth_rest=\${berth_ranges#*']'}
        berth_ranges=\${berth_ranges%%']'*},
        berth_suffix=\${berth_rest%%,*}
        berth_rest=\${berth_rest#*,}
        while [ -n "$berth_ranges" ]; do
          berth_range=\${berth_ranges%%,*}
          berth_ranges=\${berth_ranges#*,}
          berth_at=\${berth_range%%-*} berth_last=\${berth_range##*-} berth_width=\${#berth_range}
          [ "$berth_at" = "$berth_range" ] || berth_width=\${#berth_at}
          berth_at=$(berth_number "$berth_at") berth_last=$(berth_number "$berth_last")
          while [ "$berth_at" -le "$berth_last" ]; do
            berth_word=$berth_at
            while [ "\${#berth_word}" -lt "$berth_width" ]; do berth_word=0$berth_word; done
            berth_list="$berth_list $berth_prefix$berth_word$berth_suffix"
            berth_at=$((berth_at + 1))
          done
        done
        ;;
      *)
        [ -z "\${berth_rest%%,*}" ] || berth_list="$berth_list \${berth_rest%%,*}"
        berth_rest=\${berth_rest#*,}
        ;;
    esac
  done
}
# A number without the zeros that would make it octal.
berth_number() { berth_word=\${1#"\${1%%[!0]*}"}; echo "\${berth_word:-0}"; }

# berth_compress NAME...: sets berth_list to the short form. Names are numbered without zeros in front, or stand alone.
berth_compress() {
  berth_list= berth_prefix= berth_ranges= berth_last=
  for berth_word in "$@" ''; do
    berth_stem=\${berth_word%"\${berth_word##*[!0-9]}"}
    berth_at=\${berth_word#"$berth_stem"}
    case $berth_at in 0?*) berth_stem=$berth_word berth_at= ;; esac
    if [ -n "$berth_at" ] && [ -n "$berth_ranges" ] && [ "$berth_stem" = "$berth_prefix" ]; then
      if [ "$berth_at" = $((berth_last + 1)) ]; then
        case \${berth_ranges##*,} in *-*) berth_ranges=\${berth_ranges%-*}-$berth_at ;; *) berth_ranges=$berth_ranges-$berth_at ;; esac
      else berth_ranges=$berth_ranges,$berth_at
      fi
      berth_last=$berth_at
      continue
    fi
    if [ -n "$berth_ranges" ]; then
      case $berth_ranges in *[-,]*) berth_ranges="[$berth_ranges]" ;; esac
      berth_list=$berth_list,$berth_prefix$berth_ranges
    fi
    berth_prefix=$berth_stem berth_ranges=$berth_at berth_last=$berth_at
    if [ -z "$berth_at" ] && [ -n "$berth_word" ]; then berth_list=$berth_list,$berth_word; fi
  done
  berth_list=\${berth_list#,}
}

# berth_counts \`2(x3),1\`: sets berth_list to the numbers.
berth_counts() {
  berth_rest=$1, berth_list=
  while [ -n "$berth_rest" ]; do
    berth_word=\${berth_rest%%,*} berth_rest=\${berth_rest#*,}
    case $berth_word in
      *'(x'*) berth_at=\${berth_word#*'(x'} berth_at=\${berth_at%')'} berth_word=\${berth_word%%'('*} ;;
      *) berth_at=1 ;;
    esac
    while [ "$berth_at" -gt 0 ]; do berth_list="$berth_list $berth_word" berth_at=$((berth_at - 1)); done
  done
}

# berth_shorten COUNT...: the way back.
berth_shorten() {
  berth_list= berth_last= berth_at=0
  for berth_word in "$@" ''; do
    if [ "$berth_word" = "$berth_last" ]; then berth_at=$((berth_at + 1)); continue; fi
    if [ "$berth_at" -gt 1 ]; then berth_list=$berth_list,$berth_last"(x$berth_at)"
    elif [ "$berth_at" = 1 ]; then berth_list=$berth_list,$berth_last
    fi
    berth_last=$berth_word berth_at=1
  done
  berth_list=\${berth_list#,}
}

# berth_name PATTERN RANK NODE-INDEX: sets berth_path.
berth_name() {
  berth_rest=$1 berth_path=
  case $berth_rest in *\\\\*) berth_path=$(echo "$berth_rest" | tr -d '\\\\'); return ;; esac
  while :; do
    case $berth_rest in
      *%*) ;;
      *) break ;;
    esac
    berth_path=$berth_path\${berth_rest%%\\%*}
    berth_rest=\${berth_rest#*%}
    berth_width=\${berth_rest%%[!0-9]*}
    berth_letter=\${berth_rest#"$berth_width"}
    berth_rest=\${berth_letter#?}
    berth_letter=\${berth_letter%"$berth_rest"}
    case $berth_letter in
      j) berth_word=$berth_job ;;
      J) berth_word=$berth_job.$berth_id ;;
      s) berth_word=$berth_id ;;
      t) berth_word=$2 ;;
      n) berth_word=$3 ;;
      N) berth_word=\${SLURMD_NODENAME-} ;;
      u) berth_word=\${SLURM_JOB_USER-} ;;
      x) berth_word=\${SLURM_JOB_NAME-} ;;
      A) berth_word=\${SLURM_ARRAY_JOB_ID:-$berth_job} ;;
      a) berth_word=\${SLURM_ARRAY_TASK_ID:-4294967294} ;;
      %) berth_word=% ;;
      *) berth_word=%$berth_width$berth_letter berth_width= ;;
    esac
    case $berth_letter in [jstna]) while [ "\${#berth_word}" -lt "\${berth_width:-0}" ]; do berth_word=0$berth_word; done ;; esac
    berth_path=$berth_path$berth_word
  done
  berth_path=$berth_path$berth_rest
}

# Whether each task, or each node, writes a file of its own.
berth_is_shared() { case $1 in *%[0-9]*[tnN]* | *%[tnN]*) return 1 ;; *) return 0 ;; esac; }

# The program of rank $1 from the file of --multi-prog: sets berth_program to words for eval.
berth_pick() {
  berth_program=
  while IFS= read -r berth_line || [ -n "$berth_line" ]; do
    case $berth_line in '' | [[:space:]]*'#'* | '#'*) continue ;; esac
    berth_ranks=\${berth_line%%[[:space:]]*}
    berth_rest=\${berth_ranks}, berth_offset=0
    while [ -n "$berth_rest" ]; do
      berth_range=\${berth_rest%%,*} berth_rest=\${berth_rest#*,}
      case $berth_range in '*') berth_at=0 berth_last=$1 ;; *) berth_at=\${berth_range%%-*} berth_last=\${berth_range##*-} ;; esac
      if [ "$1" -ge "$berth_at" ] && [ "$1" -le "$berth_last" ]; then
        berth_offset=$((berth_offset + $1 - berth_at))
        berth_program=$(echo "\${berth_line#"$berth_ranks"}" | sed "s/%t/$1/g; s/%o/$berth_offset/g")
        return 0
      fi
      berth_offset=$((berth_offset + berth_last - berth_at + 1))
    done
  done <"$berth_programs"
  return 1
}

# berth_become RANK LOCAL: the process becomes the task. Input, output and error are open.
berth_become() {
  export SLURM_PROCID="$1" SLURM_LOCALID="$2"
  # $$ is not this process.
  read -r berth_pid berth_rest </proc/self/stat
  export SLURM_TASK_PID="$berth_pid"
  shift 2
  exec 3>&- 4>&- 8>&- 9>&-
  if ! command -v -- "$1" >/dev/null 2>&1; then
    case $1 in
      */*) if [ -d "$1" ] || [ -e "$1" ]; then echo "berth: error: execve(): $1: Permission denied" >&2; exit 13; fi ;;
    esac
    echo "berth: error: execve(): $1: No such file or directory" >&2
    exit 2
  fi
  if [ -n "$berth_odd" ]; then eval "exec $berth_prefixed env $berth_odd \\"\\$@\\""; fi
  exec $berth_prefixed "$@"
}

# berth_start RANK LOCAL: with its files open, and waits for it.
berth_open_and_become() {
  if [ -n "$berth_programs" ]; then
    berth_pick "$1" || { echo "berth: error: $berth_programs names no program for task $1" >&2; exit 1; }
    eval "set -- $1 $2 $berth_program"
  else eval "set -- $1 $2 $berth_command"
  fi
  cd -- "$berth_directory" 2>/dev/null || { echo "berth: error: couldn't chdir to \\\`$berth_directory': No such file or directory: going to /tmp instead" >&2; cd /tmp; }
  case $berth_input in
    inherit) ;;
    none) exec </dev/null ;;
    each) exec <"$berth_step/i.$1" ;;
    rank*) if [ "$1" = "\${berth_input#rank}" ]; then exec <"$berth_step/i.$1"; else exec </dev/null; fi ;;
    *) berth_name "\${berth_input#file}" "$1" "$berth_index"; exec <"$berth_path" || exit 1 ;;
  esac
  berth_own=$berth_output
  if [ -n "$berth_output" ]; then
    berth_name "$berth_output" "$1" "$berth_index"; berth_own=$berth_path
    berth_put "$berth_own" && exec >>"$berth_own" || exit 1
    [ -n "$berth_error" ] || exec 2>&1
  fi
  if [ -n "$berth_error" ]; then
    berth_name "$berth_error" "$1" "$berth_index"
    [ "$berth_path" = "$berth_own" ] || berth_put "$berth_path"
    exec 2>>"$berth_path" || exit 1
  fi
  berth_become "$@"
}
# What several write is emptied before any of them begins.
berth_put() {
  [ -z "$berth_append" ] || return 0
  if [ "$1" = /dev/null ] || berth_is_shared "\${berth_output:-$berth_error}"; then return 0; fi
  { true >"$1"; } 2>/dev/null && return
  case $1 in ?*/*) mkdir -p -- "\${1%/*}" 2>/dev/null ;; esac
  true >"$1"
}

# berth_labelled RANK: puts the rank before each line.
berth_labelled() {
  berth_word=$1
  while [ "\${#berth_word}" -lt "$berth_width_of_labels" ]; do berth_word=" $berth_word"; done
  while IFS= read -r berth_line || [ -n "$berth_line" ]; do printf '%s: %s\\n' "$berth_word" "$berth_line"; done
}

# One task from its start to its end, which is told by a line in the step's events.
berth_task() {
  if [ -n "$berth_label" ]; then
    mkfifo "$berth_step/l.$1" "$berth_step/m.$1"
    (trap '' HUP INT QUIT TERM USR1 USR2; berth_labelled "$1" <"$berth_step/l.$1") &
    berth_labels=$!
    (trap '' HUP INT QUIT TERM USR1 USR2; berth_labelled "$1" <"$berth_step/m.$1" >&2) &
    berth_labels="$berth_labels $!"
    (berth_open_and_become "$@") <&6 >"$berth_step/l.$1" 2>"$berth_step/m.$1" &
  else (berth_open_and_become "$@") <&6 &
  fi
  berth_pid=$!
  echo "$berth_pid" >>"$berth_step/p.$berth_index"
  berth_wait "$berth_pid"
  [ -z "$berth_label" ] || wait $berth_labels
  echo "end $1 $berth_code $berth_index" 1<>"$berth_step/events"
}

# berth_wait PID: sets berth_code; a signal of one's own ends the shell's wait, not the task.
berth_wait() {
  while :; do
    wait "$1" 2>/dev/null
    berth_code=$?
    kill -0 "$1" 2>/dev/null && continue
    wait "$1" 2>/dev/null
    berth_again=$?
    [ "$berth_again" = 127 ] || berth_code=$berth_again
    return
  done
}

# What the tasks of one node have in common; $1 is the node's index in the step.
berth_on_node() {
  berth_index=$1
  eval "berth_first=\\$berth_first_$1 berth_count=\\$berth_tasks_$1"
  berth_ranks=$berth_first berth_at=1
  while [ "$berth_at" -lt "$berth_count" ]; do berth_ranks=$berth_ranks,$((berth_first + berth_at)) berth_at=$((berth_at + 1)); done
  if [ -n "$berth_cyclic" ]; then eval "berth_ranks=\\$berth_ranks_$1"; fi
  eval "export SLURMD_NODENAME=\\"\\$berth_node_$1\\" SLURM_CPUS_ON_NODE=\\"\\$berth_cpus_$1\\""
  export SLURM_TOPOLOGY_ADDR="$SLURMD_NODENAME" SLURM_TOPOLOGY_ADDR_PATTERN=node SLURM_NODEID="$1" SLURM_GTIDS="$berth_ranks"
  # A background process of sh ignores these two for ever otherwise.
  berth_prefixed=
  env --default-signal=INT,QUIT true 2>/dev/null && berth_prefixed='env --default-signal=INT,QUIT'
  # A group of its own for each task, so that what it leaves behind can be ended.
  command -v setsid >/dev/null && berth_prefixed="setsid $berth_prefixed"
}

berth_start_tasks() {
  berth_local=0 berth_wrappers=
  for berth_rank in $(echo "$berth_ranks" | tr , ' '); do
    berth_task "$berth_rank" "$berth_local" &
    berth_wrappers="$berth_wrappers $!"
    berth_local=$((berth_local + 1))
  done
}

# berth_kill SIGNAL PIDS-FILE: all processes of the tasks of a node.
berth_kill() {
  while read -r berth_pid; do
    kill -s "$1" -- "-$berth_pid" 2>/dev/null || kill -s "$1" "$berth_pid" 2>/dev/null
  done 2>/dev/null <"$2"
}

# A node of the job that the script does not run on: takes what srun asks for, by lines \`run STEP INDEX\` and \`signal SIGNAL STEP INDEX\`.
berth_serve() {
  trap 'berth_leaving=1' TERM
  berth_leaving= berth_runners=
  mkfifo "$berth_folder/node.$1" 2>/dev/null
  exec 9<>"$berth_folder/node.$1"
  while [ -z "$berth_leaving" ]; do
    read -r berth_word berth_a berth_b berth_c <&9 || continue
    case $berth_word in
      run)
        sh "$berth_self" --berth-node "$berth_a" "$berth_b" </dev/null 9>&- &
        berth_runners="$berth_runners $!"
        ;;
      signal) berth_kill "$berth_a" "$berth_folder/$berth_b/p.$berth_c" ;;
    esac
  done
  # Tasks have heard the signal too, and have until the node's KILL to end.
  for berth_pid in $berth_runners; do
    while kill -0 "$berth_pid" 2>/dev/null; do wait "$berth_pid"; done
  done
  exit 0
}

# A node's part of a step.
berth_node() {
  berth_step=$berth_folder/$1
  . "$berth_step/job"
  # Held open to the end: srun sees by it that this node is still there.
  exec >"$berth_step/o.$2" 2>"$berth_step/r.$2" 6</dev/null
  trap '' HUP INT QUIT TERM USR1 USR2
  echo "start $2" 1<>"$berth_step/events"
  berth_on_node "$2"
  : >"$berth_step/p.$2"
  (trap - HUP INT QUIT TERM USR1 USR2; berth_start_tasks; for berth_pid in $berth_wrappers; do berth_wait "$berth_pid"; done)
  berth_kill KILL "$berth_step/p.$2"
  exit 0
}

case \${1-} in
  --berth-serve) berth_serve "$2" ;;
  --berth-node) berth_node "$2" "$3" ;;
esac
`;

/** The whole program: `srun OPTIONS PROGRAM`, or `srun --berth-serve I` on node I of a job. */
export const stepProgram = `${commonText}${srunText}`;

/** What the other nodes of a job run; where no steps can be had (an older node, a node that only seems) they wait. */
export const workerCommand = [
  "/bin/sh",
  "-c",
  `if [ -r "\${BERTH_BIN-}/srun" ] && [ -e "\${BERTH_STEPS-}" ]; then exec /bin/sh "$BERTH_BIN/srun" --berth-serve "$SLURM_NODEID"; fi
trap 'exit 0' TERM; while :; do sleep 3600 & wait $!; done`,
];

/** How one step ended, as its record and the pod's termination report tell it. */
export interface StepReport {
  /** Its number. */
  id: number;
  name: string;
  tasks: number;
  cpus: number;
  nodeList: string;
  /** Milliseconds since 1970. */
  startedAt: number;
  /** Absent: it ran when the job ended. */
  endedAt?: number;
  /** 128 + n where signal n ended it. */
  exitCode?: number;
  peakMemoryKibibytes?: number;
}

/**
 * What `record.JOB.STEP` says; undefined where it says nothing yet.
 * @param atMilliseconds the time at which the machine had been up for so many seconds
 */
export function parseStepRecord(
  text: string,
  atMilliseconds: (uptimeSeconds: number) => number,
): StepReport | undefined {
  let report: StepReport | undefined;
  for (const line of text.split("\n")) {
    const [word, ...rest] = line.split(" ");
    if (word === "begin") {
      const [id, uptime, tasks, , cpus, nodeList, ...name] = rest;
      report = {
        id: Number(id),
        name: name.join(" "),
        tasks: Number(tasks),
        cpus: Number(cpus),
        nodeList: nodeList ?? "",
        startedAt: atMilliseconds(Number(uptime)),
      };
    } else if (word === "end" && report !== undefined) {
      report.exitCode = Number(rest[0]);
      report.endedAt = atMilliseconds(Number(rest[1]));
      if (rest[2]) report.peakMemoryKibibytes = Number(rest[2]);
    }
  }
  return report !== undefined && Number.isInteger(report.id) ? report : undefined;
}
