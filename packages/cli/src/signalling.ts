/** Sending signals into running jobs, by `exec` in their containers: docs/runtime.md, *Time*. */
import { resources } from "@berth/client";
import { labels, leaseOf, type IndexSet, type Pod, type Workload } from "@berth/kinds";
import type { Cluster } from "./connect.ts";

/**
 * `sh -c SIGNALLING berth-signal NUMBER WHOM TASKS STEP`: of the script's own shell (`Batch`), of all of the job's processes (`Full`), or
 * of the tasks of a step (`Steps`; no STEP: of all that run), as docs/runtime.md says where these are found.
 * The embedded node says by BERTH_SCRIPT_PID which process the script is, and by BERTH_SHARED_PROCESSES that the container's
 * processes are among all others of the machine; elsewhere process 1 is the wrapper, which passes signals on. Exit code 3: another
 * task of the array is in this container by now.
 */
const signalling = `
case " \${3:-\${SLURM_ARRAY_TASK_ID-}} " in *" \${SLURM_ARRAY_TASK_ID-} "*) ;; *) exit 3 ;; esac
if [ "$2" = Batch ]; then
  kill "-$1" "\${BERTH_SCRIPT_PID:-1}"
elif [ "$2" = Steps ]; then
  reached=3
  for record in "\${BERTH_STEPS-}/record.$SLURM_JOB_ID."\${4:-*}; do
    [ -e "$record" ] || continue
    running=1 group=
    while read -r word pid rest; do
      case $word in end) running= ;; pid) group=$pid ;; esac
    done <"$record"
    [ -n "$running" ] || continue
    events=$BERTH_STEPS/step.\${record##*/record.}/events
    if [ -n "$group" ]; then kill "-$1" -- "-$group" 2>/dev/null || kill "-$1" "$group" && reached=0
    elif [ -p "$events" ]; then echo "signal $(kill -l "$1")" 1<>"$events" && reached=0
    fi
  done
  exit $reached
elif [ -z "\${BERTH_SHARED_PROCESSES-}" ]; then
  kill "-$1" -1
else
  read -r stat <"/proc/$BERTH_SCRIPT_PID/stat" || exit 3
  set -- "$1" \${stat##*) }
  for file in $(grep -slF "BERTH_POD_UID=$BERTH_POD_UID" /proc/[0-9]*/environ); do
    pid=\${file#/proc/}
    pid=\${pid%/environ}
    [ "$pid" = "$$" ] || [ "$pid" = "$3" ] || kill "-$1" "$pid" 2>/dev/null
  done
  :
fi`;
const elsewhere = 3;

/**
 * Sends a signal to the scripts of a job's running attempts, those of `tasks` only where given, or to their steps; false when none of what is
 * meant runs.
 */
export async function signalJob(
  { client }: Cluster,
  { metadata }: Workload,
  tasks: IndexSet | undefined,
  signal: number,
  to: "Batch" | "Full" | "Steps",
  step?: string,
): Promise<boolean> {
  const { namespace = "", name } = metadata;
  const { items } = await client.list<Pod>(resources.pods, { namespace, labelSelector: `${labels.workload}=${name}` });
  let reached = false;
  for (const pod of items) {
    if (pod.metadata.labels?.[labels.podSet] !== "main" || pod.status?.phase !== "Running") continue;
    const carried = leaseOf(pod)?.tasks ?? [Number(pod.metadata.labels[labels.task] ?? -1)];
    const meant = tasks === undefined ? [] : carried.filter((task) => tasks.has(task));
    if (tasks !== undefined && meant.length === 0) continue;
    const command = ["/bin/sh", "-c", signalling, "berth-signal", String(signal), to, meant.join(" "), step ?? ""];
    const { exitCode } = await client.exec(namespace, pod.metadata.name, { command, container: "main" });
    reached ||= exitCode !== elsewhere;
  }
  return reached;
}
