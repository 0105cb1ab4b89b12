/**
 * What a submission leaves for its job: the Secret mounted at `/berth`, and the sh wrapper in it that starts the script.
 * The contract is docs/runtime.md; everything here must work with POSIX sh alone (dash, busybox).
 */
import type { Container, VolumeMount } from "./pod.ts";

/** Keys of the submission's Secret. */
export const submissionKeys = {
  wrapper: "run",
  script: "script",
  environment: "environment",
  arguments: "arguments",
} as const;

/** Where the Secret is mounted, read-only. */
export const submissionMountPath = "/berth";
/** Name of the script's copy that a job sees as `$0`. */
export const scriptFileName = "slurm_script";
/** Exit code of a job whose output or input could not be opened; Slurm shows it as 0:53. */
export const openFailureExitCode = 53;

const submissionVolumeName = "berth-submission";

/** The volume, the mount and the command of a container that runs a submission. */
export function submissionContainer(secretName: string): {
  volume: { name: string } & Record<string, unknown>;
  mount: VolumeMount;
  command: NonNullable<Container["command"]>;
} {
  return {
    volume: {
      name: submissionVolumeName,
      secret: {
        secretName,
        defaultMode: 0o444,
        items: [
          { key: submissionKeys.wrapper, path: submissionKeys.wrapper },
          { key: submissionKeys.script, path: scriptFileName, mode: 0o555 },
          { key: submissionKeys.environment, path: submissionKeys.environment },
          { key: submissionKeys.arguments, path: submissionKeys.arguments },
        ],
      },
    },
    mount: { name: submissionVolumeName, mountPath: submissionMountPath, readOnly: true },
    command: ["/bin/sh", `${submissionMountPath}/${submissionKeys.wrapper}`],
  };
}

/** A word in single quotes, as any sh reads it back. */
export function quoteForShell(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

/** Text of key `arguments`: sets the script's positional parameters. */
export function argumentsFile(words: readonly string[]): string {
  return words.length === 0 ? "set --\n" : `set -- ${words.map(quoteForShell).join(" ")}\n`;
}

/** Variables that belong to the shell that reads them, or to Berth. */
const leftOut = /^(?:BERTH_.*|_|PWD|OLDPWD|SHLVL|PPID|IFS|OPTIND|PS[124])$/;

/**
 * Text of key `environment`: exports the submitter's variables. What the pod itself says of `SLURM_*` wins. Names that
 * are no sh identifiers (exported bash functions) go by `env`, the only POSIX way to set them.
 */
export function environmentFile(environment: Readonly<Record<string, string>>): string {
  const lines: string[] = [];
  const odd: string[] = [];
  for (const [name, value] of Object.entries(environment).sort(([a], [b]) => (a < b ? -1 : 1))) {
    // A NUL cannot be in an environment; whoever hands one over does not hand over an environment.
    if (leftOut.test(name) || name === "" || `${name}${value}`.includes("\0")) continue;
    const word = quoteForShell(value);
    if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) odd.push(quoteForShell(`${name}=${value}`));
    else if (name.startsWith("SLURM_")) lines.push(`[ "\${${name}+set}" ] || export ${name}=${word}`);
    else lines.push(`export ${name}=${word}`);
  }
  if (odd.length > 0) lines.push(`berth_odd() { exec \${berth_launch} env ${odd.join(" ")} "$@"; }`);
  return `${lines.join("\n")}\n`;
}

/**
 * Text of key `run`. A node that has its own first process sets BERTH_INIT and may read the wrapper into a shell of its
 * own; elsewhere the wrapper may be process 1, which no signal reaches unless it is trapped, and stays beside the script.
 */
export const wrapperScript = `# Starts a batch script as docs/runtime.md of Berth says. POSIX sh, nothing else.
berth_home=\${BERTH_SUBMISSION:-/berth}
berth_launch=\${BERTH_LAUNCH-}
berth_log_copy=\${BERTH_LOG_COPY-}
berth_init=\${BERTH_INIT-}
unset BERTH_LAUNCH BERTH_LOG_COPY BERTH_INIT BERTH_SUBMISSION

berth_json() {
  berth_rest=$1 berth_text=
  while [ -n "$berth_rest" ]; do
    berth_character=\${berth_rest%"\${berth_rest#?}"}
    berth_rest=\${berth_rest#?}
    case $berth_character in '"' | '\\') berth_text=$berth_text\\\\$berth_character ;; *) berth_text=$berth_text$berth_character ;; esac
  done
}

# berth_fail WORD MESSAGE CODE
berth_fail() {
  echo "berth: error: $2" >&2
  berth_json "$2"
  { printf '{"failure":"%s","message":"%s"}' "$1" "$berth_text" >"\${BERTH_TERMINATION_LOG:-/dev/termination-log}"; } 2>/dev/null
  exit "$3"
}

berth_touch() {
  case \${BERTH_OPEN_MODE-} in
    [Aa]ppend) true >>"$1" ;;
    *) true >"$1" ;;
  esac
}

berth_prepare() {
  berth_touch "$1" 2>/dev/null && return
  case $1 in ?*/*) mkdir -p -- "\${1%/*}" 2>/dev/null ;; esac
  berth_touch "$1" 2>/dev/null && return
  berth_why=$(berth_touch "$1" 2>&1)
  berth_fail output "could not open the output file $1: \${berth_why##*: }" 53
}

berth_odd() { exec \${berth_launch} "$@"; }

# A gang's pod waits for the others: the file follows the pod's annotation.
if [ -n "\${BERTH_GATE-}" ]; then
  while IFS= read -r berth_gate <"$BERTH_GATE" || [ -n "$berth_gate" ]; do
    [ "$berth_gate" = closed ] || break
    sleep 1
  done
fi

berth_input=\${BERTH_INPUT:-/dev/null}
berth_output=\${BERTH_OUTPUT-}
berth_error=\${BERTH_ERROR:-$berth_output}
if ! { true <"$berth_input"; } 2>/dev/null; then
  berth_why=$({ true <"$berth_input"; } 2>&1)
  berth_fail input "could not open the input file $berth_input: \${berth_why##*: }" 53
fi
[ -z "$berth_output" ] || berth_prepare "$berth_output"
[ "$berth_error" = "$berth_output" ] || berth_prepare "$berth_error"

# berth_end CODE: not before all that was written is copied; who outlives the script and holds its output open does not hold the job.
berth_end() {
  if [ -n "$berth_tees" ]; then
    exec >&3 2>&4 3>&- 4>&-
    (sleep 2; kill -9 $berth_tees) >/dev/null 2>&1 &
    berth_child=$!
    for berth_pid in $berth_tees; do
      while kill -0 "$berth_pid" 2>/dev/null; do wait "$berth_pid" 2>/dev/null; done
    done
    kill "$berth_child" 2>/dev/null
  fi
  exit "$1"
}

berth_tees=
if [ -n "$berth_output" ] && [ -n "$berth_log_copy" ]; then
  berth_scratch=$(mktemp -d "\${TMPDIR:-/tmp}/berth.XXXXXX") && mkfifo "$berth_scratch/1" "$berth_scratch/2" || exit 53
  # What goes to all processes of the container must not end these: the script's last words pass through them.
  berth_tee() { trap '' HUP INT QUIT USR1 USR2 TERM; exec tee -a "$1"; }
  berth_tee "$berth_output" <"$berth_scratch/1" & berth_tees=$!
  if [ "$berth_error" = "$berth_output" ]; then
    exec 3>&1 4>&2 >"$berth_scratch/1" 2>&1
  else
    berth_tee "$berth_error" <"$berth_scratch/2" >&2 & berth_tees="$berth_tees $!"
    exec 3>&1 4>&2 >"$berth_scratch/1" 2>"$berth_scratch/2"
  fi
  rm -rf "$berth_scratch"
elif [ -n "$berth_output" ]; then
  if [ "$berth_error" = "$berth_output" ]; then exec >>"$berth_output" 2>&1; else exec >>"$berth_output" 2>>"$berth_error"; fi
fi
exec <"$berth_input"

if [ -n "\${BERTH_CHDIR-}" ]; then
  if ! cd -- "$BERTH_CHDIR" 2>/dev/null; then
    if [ -e "$BERTH_CHDIR" ]; then berth_why="Permission denied"; else berth_why="No such file or directory"; fi
    if [ -e "$BERTH_CHDIR" ] && [ ! -d "$BERTH_CHDIR" ]; then berth_why="Not a directory"; fi
    echo "berth: error: couldn't chdir to \\\`$BERTH_CHDIR': $berth_why: going to /tmp instead" >&2
    cd /tmp
  fi
fi

berth_script=$berth_home/slurm_script
if [ ! -e "$berth_script" ]; then
  berth_scratch=$(mktemp -d "\${TMPDIR:-/tmp}/berth.XXXXXX") || exit 53
  berth_script=$berth_scratch/slurm_script
  cat "$berth_home/script" >"$berth_script" && chmod 0555 "$berth_script" || exit 53
fi
IFS= read -r berth_first <"$berth_script"
case $berth_first in
  '#!'*)
    berth_first=\${berth_first#??}
    set -f
    set -- $berth_first
    set +f
    if [ ! -x "\${1-}" ]; then
      echo "berth: error: execve(): bad interpreter(\${1-}): No such file or directory" >&2
      berth_end 2
    fi
    ;;
esac

set --
[ ! -e "$berth_home/environment" ] || . "$berth_home/environment"
[ ! -e "$berth_home/arguments" ] || . "$berth_home/arguments"
[ -z "\${BERTH_BIN-}" ] || export PATH="$BERTH_BIN:\${PATH-/usr/local/bin:/usr/bin:/bin}"

if [ -n "$berth_init" ] || { [ "$$" != 1 ] && [ -z "$berth_tees" ]; }; then
  berth_odd "$berth_script" "$@"
fi

exec 5<&0
berth_odd "$berth_script" "$@" <&5 5<&- 3>&- 4>&- &
berth_child=$!
# From here on some shells say whom a signal killed; that is no word of the job.
exec 5<&- 2>/dev/null
for berth_signal in HUP INT QUIT USR1 USR2 CONT; do
  trap "kill -$berth_signal $berth_child 2>/dev/null" "$berth_signal"
done
# As process 1 of a container the wrapper reaches all of the job's processes, as the end of the wall time must.
if [ "$$" = 1 ]; then trap 'kill -TERM -1 2>/dev/null' TERM; else trap "kill -TERM $berth_child 2>/dev/null" TERM; fi
while :; do
  wait "$berth_child" 2>/dev/null
  berth_status=$?
  kill -0 "$berth_child" 2>/dev/null && continue
  # A signal may have ended the wait just when the script ended; then its status is still to be had.
  wait "$berth_child" 2>/dev/null
  berth_again=$?
  [ "$berth_again" = 127 ] || berth_status=$berth_again
  break
done
berth_end "$berth_status"
`;
