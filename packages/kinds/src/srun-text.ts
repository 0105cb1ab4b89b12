/** The part of the step program that reads srun's command line, places the tasks and follows them; see step-program.ts. */
export const srunText = `
berth_usage() {
  cat <<'END'
Usage: srun [OPTIONS...] program [arguments...]

Starts a step of the job that it is called in: tasks side by side, on one or more of the job's nodes.

  -n, --ntasks=N             tasks in all
  -N, --nodes=N[-M]          nodes
      --ntasks-per-node=N    tasks on each node
  -c, --cpus-per-task=N      CPUs for each task (implies --exact)
  -w, --nodelist=NODES       these nodes       -x, --exclude=NODES  not these
  -r, --relative=N           from the job's Nth node on
  -m, --distribution=block|cyclic  how tasks are numbered over the nodes
      --exclusive, --exact   take only the CPUs asked for, and wait until they are free
      --overlap, -s          share CPUs with other steps
  -O, --overcommit           more tasks than CPUs
  -l, --label                the task's number before each line
  -i, -o, -e                 input, output, error: a file name (%j %s %t %n %N …), none, all, or a task's number
      --open-mode=a|t        append to output files, or truncate them
  -K, --kill-on-bad-exit     end all tasks when one fails
      --multi-prog           the program is a file of lines: TASKS PROGRAM ARGUMENTS
      --mpi=none             see docs/how-to/several-nodes-and-mpi.md of Berth
      --pty                  task 0 gets the terminal
  -D, --chdir=PATH           the tasks' directory
      --export=ALL|NONE|NAME=VALUE,…   the tasks' environment
  -J, --job-name=NAME        the step's name
  -W, --wait=SECONDS         end the others so long after the first has ended
  -Q, --quiet  -v, --verbose  -V, --version  -h, --help
END
}

berth_longs='account= acctg-freq= bb= bbf= bcast? begin= bell chdir= cluster-constraint= clusters= comment= compress? constraint= container= contiguous core-spec= cores-per-socket= cpu-bind= cpu_bind= cpu-freq= cpus-per-gpu= cpus-per-task= deadline= delay-boot= dependency= disable-status distribution= epilog= error= exact exclude= exclusive? export= extra-node-info= gid= gpu-bind= gpu-freq= gpus= gpus-per-node= gpus-per-socket= gpus-per-task= gres= gres-flags= help het-group= hint= hold immediate? input= interactive jobid= job-name= kill-on-bad-exit? label launch-cmd launcher-opts= licenses= mail-type= mail-user= mcs-label= mem= mem-bind= mem_bind= mem-per-cpu= mem-per-gpu= mincpus= mpi= msg-timeout= multi-prog network= nice? no-allocate no-bell no-kill? nodefile= nodelist= nodes= ntasks= ntasks-per-core= ntasks-per-gpu= ntasks-per-node= ntasks-per-socket= open-mode= output= overcommit overlap oversubscribe partition= power= preserve-env priority= profile= prolog= propagate? pty? qos= quiet quit-on-interrupt reboot relative= reservation= resv-ports? send-libs? share signal= slurmd-debug= sockets-per-node= spread-job switches= task-epilog= task-prolog= test-only thread-spec= threads= threads-per-core= time= time-min= tmp= uid= unbuffered usage use-min-nodes verbose version wait= wckey= x11?'

berth_number_for() { # OPTION VALUE
  case $2 in '' | *[!0-9]*) berth_fail "Invalid numeric value \\"$2\\" for $1." ;; esac
}

berth_refuse_value() { berth_fail "Invalid $1 specification: $2"; }

# berth_option NAME VALUE
berth_option() {
  case $1 in
    ntasks) berth_number_for --ntasks "$2"; berth_n=$2 ;;
    nodes)
      case $2 in [0-9]* | '') ;; *) berth_fail "invalid number of nodes (-N $2)" ;; esac
      berth_nodes=\${2%%-*} berth_most=\${2##*-} berth_nodes_asked=1
      case $berth_nodes$berth_most in '' | *[!0-9]*) berth_fail "invalid number of nodes (-N $2)" ;; esac
      ;;
    ntasks-per-node) berth_number_for --ntasks-per-node "$2"; berth_per_node=$2 ;;
    cpus-per-task) berth_number_for --cpus-per-task "$2"; berth_c=$2 berth_exact=1 berth_c_asked=1 ;;
    nodelist) berth_wanted=$2 ;;
    exclude) berth_excluded=$2 ;;
    relative) berth_number_for --relative "$2"; berth_relative=$2 ;;
    distribution)
      case $2 in
        cyclic*) berth_cyclic=1 ;;
        block* | pack* | '*' | nopack*) berth_cyclic= ;;
        *) berth_refuse_value --distribution "$2 (block and cyclic are honoured)" ;;
      esac
      ;;
    exclusive | exact) berth_exact=1 ;;
    overlap | oversubscribe | share) berth_overlap=1 ;;
    overcommit) berth_over=1 ;;
    label) berth_label=1 ;;
    input) berth_in=$2 ;;
    output) berth_output=$2 ;;
    error) berth_error=$2 ;;
    open-mode)
      case $2 in a | append) berth_append=1 ;; t | truncate) berth_append= ;; *) berth_fail "Invalid --open-mode specification" ;; esac
      ;;
    kill-on-bad-exit) case $2 in 0) berth_bad= ;; *) berth_bad=1 ;; esac ;;
    multi-prog) berth_multi=1 ;;
    mpi) berth_mpi=$2 ;;
    pty) berth_pty=1 ;;
    chdir) berth_directory=$2 ;;
    export) berth_export=$2 ;;
    job-name) berth_title=$2 ;;
    wait) berth_number_for --wait "$2"; berth_patience=$2 ;;
    quiet) berth_quiet=1 ;;
    verbose) berth_verbose=1 ;;
    jobid) [ "$2" = "$berth_job" ] || berth_fail "--jobid=$2: steps are started from within their job; this is job $berth_job" ;;
    het-group) [ "$2" = 0 ] || berth_fail "--het-group=$2: this job has one component" ;;
    help) berth_usage; exit 0 ;;
    usage) berth_usage; exit 0 ;;
    version) echo "slurm 22.05.8 (Berth)"; exit 0 ;;
    bcast | container | epilog | prolog | task-epilog | task-prolog | uid | gid | x11 | no-allocate | test-only)
      berth_fail "--$1 is not known to Berth's steps" ;;
    # What is the job's already, or says how CPUs are bound, which the job's node does.
    *) ;;
  esac
}

berth_long() {
  berth_asked=\${1%%=*} berth_found= berth_others=
  for berth_known in $berth_longs; do
    case $berth_known in
      "$berth_asked" | "$berth_asked"[=?]) berth_found=$berth_known berth_others=; break ;;
      "$berth_asked"*)
        [ -z "$berth_found" ] || berth_others=1
        berth_found=$berth_known
        ;;
    esac
  done
  if [ -n "$berth_others" ]; then berth_say "option '--$berth_asked' is ambiguous"; berth_hint; fi
  if [ -z "$berth_found" ]; then berth_say "unrecognized option '--$berth_asked'"; berth_hint; fi
  berth_found_name=\${berth_found%[=?]}
}
berth_hint() { echo 'Try "srun --help" for more information' >&2; exit 1; }

# berth_short LETTER: sets berth_found as berth_long does.
berth_short() {
  case $1 in
    A) berth_found=account= ;; b) berth_found=begin= ;; c) berth_found=cpus-per-task= ;; C) berth_found=constraint= ;;
    d) berth_found=dependency= ;; D) berth_found=chdir= ;; e) berth_found=error= ;; E) berth_found=preserve-env ;;
    G) berth_found=gpus= ;; H) berth_found=hold ;; h) berth_found=help ;; i) berth_found=input= ;; I) berth_found=immediate? ;;
    J) berth_found=job-name= ;; K) berth_found=kill-on-bad-exit? ;; k) berth_found=no-kill? ;; l) berth_found=label ;;
    L) berth_found=licenses= ;; m) berth_found=distribution= ;; M) berth_found=clusters= ;; n) berth_found=ntasks= ;;
    N) berth_found=nodes= ;; o) berth_found=output= ;; O) berth_found=overcommit ;; p) berth_found=partition= ;;
    q) berth_found=qos= ;; Q) berth_found=quiet ;; r) berth_found=relative= ;; s) berth_found=oversubscribe ;;
    S) berth_found=core-spec= ;; t) berth_found=time= ;; T) berth_found=threads= ;; u) berth_found=unbuffered ;;
    v) berth_found=verbose ;; V) berth_found=version ;; w) berth_found=nodelist= ;; W) berth_found=wait= ;;
    x) berth_found=exclude= ;; X) berth_found=disable-status ;; Z) berth_found=no-allocate ;; B) berth_found=extra-node-info= ;;
    *) berth_say "invalid option -- '$1'"; berth_hint ;;
  esac
  berth_found_name=\${berth_found%[=?]}
}

if [ -z "$berth_job" ] || [ -z "$berth_folder" ]; then
  berth_fail "this is for the scripts of Berth's jobs; elsewhere srun is \\\`berth srun'"
fi

berth_n=\${SLURM_NTASKS:-\${SLURM_NPROCS-}} berth_nodes=\${SLURM_NNODES:-\${SLURM_JOB_NUM_NODES:-1}} berth_most= berth_nodes_asked=
berth_per_node=\${SLURM_NTASKS_PER_NODE-} berth_c=\${SRUN_CPUS_PER_TASK:-1} berth_c_asked=\${SRUN_CPUS_PER_TASK:+1}
berth_exact=\${SLURM_EXACT:+1}\${SLURM_EXCLUSIVE:+1}\${SRUN_CPUS_PER_TASK:+1} berth_overlap=\${SLURM_OVERLAP:+1} berth_over=\${SLURM_OVERCOMMIT:+1}
berth_wanted= berth_excluded= berth_relative=0 berth_cyclic= berth_label=\${SLURM_LABELIO:+1} berth_in=\${SLURM_STDINMODE-}
berth_output=\${SLURM_STDOUTMODE-} berth_error=\${SLURM_STDERRMODE-} berth_append= berth_bad= berth_multi= berth_mpi=\${SLURM_MPI_TYPE:-none}
berth_pty= berth_directory= berth_export=\${SLURM_EXPORT_ENV:-ALL} berth_title= berth_patience=\${SLURM_WAIT:-0} berth_quiet= berth_verbose=
berth_n_asked=
case \${SLURM_DISTRIBUTION-} in cyclic*) berth_cyclic=1 ;; esac
case \${SLURM_KILL_BAD_EXIT-} in '' | 0) ;; *) berth_bad=1 ;; esac
case \${SLURM_OPEN_MODE-} in a*) berth_append=1 ;; esac

while [ $# -gt 0 ]; do
  case $1 in
    --) shift; break ;;
    --*)
      berth_word=\${1#--}
      berth_long "$berth_word"
      case $berth_found in
        *=)
          case $berth_word in
            *=*) berth_option "$berth_found_name" "\${berth_word#*=}" ;;
            *)
              if [ $# -lt 2 ]; then berth_say "option '--$berth_word' requires an argument"; berth_hint; fi
              shift
              berth_option "$berth_found_name" "$1"
              ;;
          esac
          ;;
        *'?') case $berth_word in *=*) berth_option "$berth_found_name" "\${berth_word#*=}" ;; *) berth_option "$berth_found_name" '' ;; esac ;;
        *)
          case $berth_word in *=*) berth_say "option '--$berth_found_name' doesn't allow an argument"; berth_hint ;; esac
          berth_option "$berth_found_name" ''
          ;;
      esac
      [ "$berth_found_name" != ntasks ] || berth_n_asked=1
      ;;
    -?*)
      berth_cluster=\${1#-}
      while [ -n "$berth_cluster" ]; do
        berth_rest=\${berth_cluster#?}
        berth_short "\${berth_cluster%"$berth_rest"}"
        berth_cluster=$berth_rest
        case $berth_found in
          *=)
            if [ -n "$berth_cluster" ]; then berth_word=$berth_cluster
            else
              if [ $# -lt 2 ]; then berth_say "option requires an argument -- '\${1#"\${1%?}"}'"; berth_hint; fi
              shift
              berth_word=$1
            fi
            berth_cluster=
            [ "$berth_found_name" != ntasks ] || berth_n_asked=1
            berth_option "$berth_found_name" "$berth_word"
            ;;
          *'?') berth_word=$berth_cluster berth_cluster=; berth_option "$berth_found_name" "$berth_word" ;;
          *) berth_option "$berth_found_name" '' ;;
        esac
      done
      ;;
    *) break ;;
  esac
  shift
done

if [ $# -eq 0 ]; then
  [ "$berth_mpi" != list ] || { printf 'MPI plugin types are...\\n\\tnone\\n'; exit 0; }
  berth_say "fatal: No command given to execute."
  exit 1
fi
case $berth_mpi in
  none | openmpi) ;;
  list) printf 'MPI plugin types are...\\n\\tnone\\n'; exit 0 ;;
  pmi2 | cray_shasta | pmix*) berth_fail "--mpi=$berth_mpi is not spoken by Berth's steps; mpirun (Open MPI) and mpiexec (MPICH) start programs on all nodes of the job without hosts or keys" ;;
  *) berth_fail "Couldn't find the specified plugin name for mpi/$berth_mpi looking at all files" ;;
esac

# The job's nodes and their CPUs.
berth_expand "\${SLURM_JOB_NODELIST:-\${SLURMD_NODENAME:-localhost}}"
berth_all=$berth_list berth_total=0
berth_counts "\${SLURM_JOB_CPUS_PER_NODE:-\${SLURM_CPUS_ON_NODE:-1}}"
set -f
berth_here=-1
for berth_word in $berth_all; do
  eval "berth_all_$berth_total=\\$berth_word"
  [ "$berth_word" != "\${SLURMD_NODENAME-}" ] || berth_here=$berth_total
  berth_total=$((berth_total + 1))
done
berth_at=0
for berth_word in $berth_list; do
  eval "berth_room_$berth_at=$berth_word"
  berth_at=$((berth_at + 1))
done
[ "$berth_here" -ge 0 ] || berth_here=0

berth_refused() { berth_fail "Unable to create step for job $berth_job: $1"; }

# Which of them this step may have, in order.
berth_may= berth_must=
if [ -n "$berth_wanted" ]; then
  case $berth_wanted in */*) berth_wanted=$(tr '\\n' , <"$berth_wanted") ;; esac
  berth_expand "$berth_wanted"
  berth_must=$berth_list
  for berth_word in $berth_must; do
    case " $berth_all " in *" $berth_word "*) ;; *) berth_refused "Requested node configuration is not available" ;; esac
  done
  berth_at=$(set -- $berth_must; echo $#)
  [ -n "$berth_nodes_asked" ] && [ "$berth_nodes" -ge "$berth_at" ] || berth_nodes=$berth_at
fi
berth_expand "$berth_excluded"
berth_at=0
for berth_word in $berth_all; do
  case " $berth_list " in
    *" $berth_word "*) ;;
    *) [ "$berth_at" -lt "$berth_relative" ] || berth_may="$berth_may $berth_at" ;;
  esac
  berth_at=$((berth_at + 1))
done
if [ -n "$berth_must" ]; then
  berth_first_ones= berth_later=
  for berth_at in $berth_may; do
    eval "berth_word=\\$berth_all_$berth_at"
    case " $berth_must " in *" $berth_word "*) berth_first_ones="$berth_first_ones $berth_at" ;; *) berth_later="$berth_later $berth_at" ;; esac
  done
  berth_may="$berth_first_ones$berth_later"
fi
berth_at=$(set -- $berth_may; echo $#)
if [ "$berth_nodes" -gt "$berth_at" ]; then
  [ -z "$berth_nodes_asked" ] || berth_fail "Only allocated $berth_at nodes asked for $berth_nodes"
  berth_nodes=$berth_at
fi
[ "$berth_at" -gt 0 ] || berth_refused "Requested node configuration is not available"

# How many tasks.
if [ -n "$berth_n_asked" ] || { [ -n "$berth_n" ] && [ -z "$berth_nodes_asked" ] && [ -z "$berth_must" ]; }; then :
elif [ -n "$berth_per_node" ]; then berth_n=$((berth_nodes * berth_per_node))
elif [ -n "$berth_nodes_asked" ] || [ -n "$berth_must" ] || [ -z "$berth_n" ]; then
  if [ -z "$berth_n" ] || [ "$berth_n" -lt "$berth_nodes" ] || [ -n "$berth_nodes_asked" ]; then berth_n=$berth_nodes; fi
fi
[ "$berth_n" -gt 0 ] || berth_fail "Invalid numeric value \\"$berth_n\\" for --ntasks."
if [ "$berth_n" -lt "$berth_nodes" ]; then
  [ -z "$berth_nodes_asked" ] || berth_say "Warning: can't run $berth_n processes on $berth_nodes nodes, setting nnodes to $berth_n"
  berth_nodes=$berth_n
fi
[ -z "$berth_pty" ] || [ "$berth_n" = 1 ] || berth_n=1 berth_nodes=1

# berth_lay MODE: places the tasks where CPUs are free; sets berth_chosen (job's node indices) and berth_share_I. False where they do not fit.
berth_lay() {
  berth_chosen= berth_open= berth_left=$berth_n berth_at=0
  for berth_word in $berth_may; do
    [ "$berth_at" -lt "$2" ] || break
    eval "berth_free=\\$berth_room_$berth_word"
    [ "$1" = empty ] || eval "berth_free=\\$((berth_free - \\\${berth_used_$berth_word:-0}))"
    berth_fits=$((berth_free / berth_c))
    if [ "$1" != empty ] && [ -z "$berth_exact" ]; then
      eval "[ \\"\\\${berth_used_$berth_word:-0}\\" = 0 ]" || berth_fits=0
    fi
    [ -z "$berth_over" ] || berth_fits=$berth_n
    [ -z "$berth_per_node" ] || [ "$berth_fits" -le "$berth_per_node" ] || berth_fits=$berth_per_node
    [ "$berth_fits" -gt 0 ] || continue
    berth_chosen="$berth_chosen $berth_word"
    eval "berth_share_$berth_word=0 berth_fits_$berth_word=$berth_fits"
    berth_at=$((berth_at + 1))
  done
  # A node fewer than asked for is none.
  [ "$berth_at" -ge "$berth_nodes" ] || return 1
  while [ "$berth_left" -gt 0 ]; do
    berth_before=$berth_left
    for berth_word in $berth_chosen; do
      [ "$berth_left" -gt 0 ] || break
      eval "[ \\"\\$berth_share_$berth_word\\" -lt \\"\\$berth_fits_$berth_word\\" ]" || continue
      eval "berth_share_$berth_word=\\$((berth_share_$berth_word + 1))"
      berth_left=$((berth_left - 1))
    done
    [ "$berth_left" -lt "$berth_before" ] || return 1
  done
}

berth_place() {
  berth_lay "$1" "$berth_nodes" && return
  [ -z "$berth_nodes_asked" ] && [ -z "$berth_must" ] && berth_lay "$1" "$berth_total"
}

[ -z "$berth_overlap" ] || berth_mode=empty
if ! berth_place empty; then
  if [ -n "$berth_overlap$berth_over" ]; then berth_over=1; berth_place empty; else
    berth_refused "More processors requested than permitted"
  fi
fi

# The lock of the folder, held for as long as it takes to read and write a few small files. Who died with it has lost it.
berth_lock() {
  set -C
  until { echo "\${SLURMD_NODENAME-} $$" >"$berth_folder/lock"; } 2>/dev/null; do
    berth_word= berth_pid=
    { read -r berth_word berth_pid <"$berth_folder/lock"; } 2>/dev/null
    if [ "$berth_word" = "\${SLURMD_NODENAME-}" ] && [ -n "$berth_pid" ] && ! kill -0 "$berth_pid" 2>/dev/null; then
      rm -f "$berth_folder/lock"
      continue
    fi
    sleep 0.02 2>/dev/null || sleep 1
  done
  set +C
}
berth_unlock() { rm -f "$berth_folder/lock"; }

# What other steps use: \`active.STEP\` has the pid of its srun, and CPUs by node.
berth_count_used() {
  berth_at=0
  while [ "$berth_at" -lt "$berth_total" ]; do eval "berth_used_$berth_at=0"; berth_at=$((berth_at + 1)); done
  set +f
  for berth_file in "$berth_folder"/active."$berth_job".*; do
    [ -e "$berth_file" ] || continue
    {
      read -r berth_word berth_pid
      if [ "$berth_word" = "\${SLURMD_NODENAME-}" ] && ! kill -0 "$berth_pid" 2>/dev/null; then rm -f "$berth_file"; continue; fi
      while read -r berth_at berth_word; do eval "berth_used_$berth_at=\\$((berth_used_$berth_at + berth_word))"; done
    } <"$berth_file" 2>/dev/null
  done
  set -f
}

[ -d "$berth_folder/." ] || berth_refused "the job's folder is gone"
berth_told_waiting=
while :; do
  berth_lock
  if [ -z "$berth_overlap" ]; then
    berth_count_used
    if ! berth_place busy; then
      # Whoever ends a step wakes those that wait; to look every few seconds is for those that were killed.
      [ -p "$berth_folder/wait.$$" ] || mkfifo "$berth_folder/wait.$$"
      berth_unlock
      exec 7<>"$berth_folder/wait.$$"
      [ -n "$berth_told_waiting$berth_quiet" ] || berth_say "Job $berth_job step creation temporarily disabled, retrying (Requested nodes are busy)"
      berth_told_waiting=1
      (exec sleep 3 >/dev/null 2>&1; ) 7>&- && echo >&7 &
      berth_alarm=$!
      read -r berth_word <&7
      kill "$berth_alarm" 2>/dev/null
      continue
    fi
  fi
  berth_id=0
  { read -r berth_id <"$berth_folder/next.$berth_job"; } 2>/dev/null
  echo "$((berth_id + 1))" >"$berth_folder/next.$berth_job"
  if [ -z "$berth_overlap" ]; then
    {
      echo "\${SLURMD_NODENAME-} $$"
      for berth_word in $berth_chosen; do
        if [ -n "$berth_exact" ]; then eval "echo \\"$berth_word \\$((berth_share_$berth_word * berth_c))\\""
        else eval "echo \\"$berth_word \\$berth_room_$berth_word\\""; fi
      done
    } >"$berth_folder/active.$berth_job.$berth_id"
  fi
  berth_unlock
  break
done
if [ -n "$berth_told_waiting" ]; then
  exec 7>&-
  rm -f "$berth_folder/wait.$$"
  [ -n "$berth_quiet" ] || berth_say "Step created for job $berth_job"
fi

# Ranks by node. Nodes that got no task are not the step's.
berth_count_of_nodes=0 berth_next=0 berth_names= berth_shares= berth_step_cpus=0 berth_remote=
for berth_word in $berth_chosen; do
  eval "berth_share=\\$berth_share_$berth_word"
  [ "$berth_share" -gt 0 ] || continue
  eval "berth_node_$berth_count_of_nodes=\\$berth_all_$berth_word berth_names=\\"\\$berth_names \\$berth_all_$berth_word\\""
  eval "berth_slot_$berth_count_of_nodes=$berth_word berth_tasks_$berth_count_of_nodes=$berth_share berth_first_$berth_count_of_nodes=$berth_next"
  eval "berth_free=\\$berth_room_$berth_word"
  [ -z "$berth_exact" ] || berth_free=$((berth_share * berth_c))
  eval "berth_cpus_$berth_count_of_nodes=$berth_free berth_ranks_$berth_count_of_nodes="
  berth_step_cpus=$((berth_step_cpus + berth_free))
  berth_shares="$berth_shares $berth_share"
  berth_next=$((berth_next + berth_share))
  [ "$berth_word" = "$berth_here" ] || berth_remote="$berth_remote $berth_count_of_nodes"
  berth_count_of_nodes=$((berth_count_of_nodes + 1))
done
if [ -n "$berth_cyclic" ]; then
  berth_next=0 berth_round=0
  while [ "$berth_next" -lt "$berth_n" ]; do
    berth_at=0
    while [ "$berth_at" -lt "$berth_count_of_nodes" ]; do
      if eval "[ $berth_round -lt \\$berth_tasks_$berth_at ]"; then
        eval "berth_ranks_$berth_at=\\\${berth_ranks_$berth_at:+\\$berth_ranks_$berth_at,}$berth_next"
        berth_next=$((berth_next + 1))
      fi
      berth_at=$((berth_at + 1))
    done
    berth_round=$((berth_round + 1))
  done
fi

# What all tasks find in their environment.
case $berth_export in
  ALL | all) ;;
  *)
    berth_listed=,$berth_export,
    case $berth_listed in
      *,ALL,*) ;;
      *)
        for berth_word in $(export -p | sed -n 's/^\\(export\\|declare -x\\) \\([A-Za-z_][A-Za-z0-9_]*\\).*/\\2/p'); do
          case $berth_word in SLURM_* | SLURMD_* | BERTH_* | PWD) continue ;; esac
          case $berth_listed in *,"$berth_word",*) ;; *) unset "$berth_word" 2>/dev/null ;; esac
        done
        : "\${PATH:=/usr/local/bin:/usr/bin:/bin}"
        ;;
    esac
    berth_rest=$berth_export,
    while [ -n "$berth_rest" ]; do
      berth_word=\${berth_rest%%,*} berth_rest=\${berth_rest#*,}
      case $berth_word in [A-Za-z_]*=*) export "$berth_word" ;; esac
    done
    ;;
esac
berth_compress $berth_names
export SLURM_STEP_NODELIST="$berth_list"
berth_shorten $berth_shares
export SLURM_STEP_TASKS_PER_NODE="$berth_list" SLURM_TASKS_PER_NODE="$berth_list"
export SLURM_STEP_ID="$berth_id" SLURM_STEPID="$berth_id" SLURM_STEP_NUM_NODES="$berth_count_of_nodes" SLURM_STEP_NUM_TASKS="$berth_n"
export SLURM_NTASKS="$berth_n" SLURM_NPROCS="$berth_n" SLURM_NNODES="$berth_count_of_nodes" SLURM_NODELIST="$SLURM_STEP_NODELIST"
export SLURM_DISTRIBUTION=block SLURM_LAUNCH_NODE_IPADDR=127.0.0.1 SLURM_PRIO_PROCESS=0
[ -z "$berth_cyclic" ] || SLURM_DISTRIBUTION=cyclic
SLURM_UMASK=$(umask)
export SLURM_UMASK
[ -z "$berth_c_asked" ] || export SLURM_CPUS_PER_TASK="$berth_c"

: "\${berth_directory:=$(pwd)}"
berth_programs= berth_command=
if [ -n "$berth_multi" ]; then
  [ -r "$1" ] || berth_fail "Unable to open configuration file $1"
  case $1 in /*) berth_programs=$1 ;; *) berth_programs=$(pwd)/$1 ;; esac
else
  for berth_word in "$@"; do berth_quote "$berth_word"; berth_command="$berth_command $berth_quoted"; done
fi
: "\${berth_title:=\${1##*/}}"

# Exported functions of bash are no names that sh takes along.
berth_odd=
if grep -q BASH_FUNC_ "/proc/$$/environ" 2>/dev/null; then
  berth_odd=$(tr '\\n\\000' '\\001\\n' <"/proc/$$/environ" | grep '^BASH_FUNC_' | sed "s/'/'\\\\\\\\''/g; s/.*/'&'/" | tr '\\n\\001' ' \\n')
fi

# Files: what all write is emptied once, here.
for berth_word in output error; do
  eval "berth_value=\\$berth_$berth_word"
  case $berth_value in
    '' | all) berth_value= ;;
    none) berth_value=/dev/null ;;
    /*) ;;
    *) berth_value=$berth_directory/$berth_value ;;
  esac
  eval "berth_$berth_word=\\$berth_value"
  if [ -n "$berth_value" ] && [ -z "$berth_append" ] && berth_is_shared "$berth_value"; then
    berth_name "$berth_value" 0 0
    case $berth_path in /dev/*) ;; *)
      { true >"$berth_path"; } 2>/dev/null || { mkdir -p -- "\${berth_path%/*}" 2>/dev/null; true >"$berth_path"; } || berth_fail "Could not open stdout file: $berth_path" ;;
    esac
  fi
done

berth_step=$berth_folder/step.$berth_job.$berth_id
berth_width_of_labels=$(echo $((berth_n - 1)))
berth_width_of_labels=\${#berth_width_of_labels}
read -r berth_uptime berth_rest </proc/uptime
berth_quote "$berth_title"
berth_record=$berth_folder/record.$berth_job.$berth_id
echo "begin $berth_id $berth_uptime $berth_n $berth_count_of_nodes $berth_step_cpus $SLURM_STEP_NODELIST $berth_title" >"$berth_record"

# Input: of one task here it is srun's own; several get a copy each.
berth_input=inherit berth_teeing=
exec 6<&0
case $berth_in in
  none) berth_input=none ;;
  '' | all)
    if [ /proc/self/fd/6 -ef /dev/null ] || [ ! -e /proc/self/fd/6 ]; then berth_input=none
    elif [ "$berth_n" -gt 1 ] || [ -n "$berth_remote" ]; then berth_input=each berth_teeing=all
    fi
    ;;
  *[!0-9]*) case $berth_in in /*) berth_input=file$berth_in ;; *) berth_input=file$berth_directory/$berth_in ;; esac ;;
  *) berth_input=rank$berth_in berth_teeing=$berth_in ;;
esac

berth_end_of_step() { # CODE
  rm -f "$berth_folder/active.$berth_job.$berth_id"
  read -r berth_uptime berth_rest </proc/uptime
  echo "end $1 $berth_uptime \${berth_peak:-}" >>"$berth_record"
  [ ! -d "$berth_step" ] || rm -rf "$berth_step"
  set +f
  for berth_file in "$berth_folder"/wait.*; do [ ! -p "$berth_file" ] || echo 1<>"$berth_file"; done
  exit "$1"
}

berth_signal_word() {
  case $(($1 - 128)) in
    1) berth_word=Hangup ;; 2) berth_word=Interrupt ;; 3) berth_word=Quit ;; 4) berth_word='Illegal instruction' ;; 6) berth_word=Aborted ;;
    7) berth_word='Bus error' ;; 8) berth_word='Floating point exception' ;; 9) berth_word=Killed ;; 10) berth_word='User defined signal 1' ;;
    11) berth_word='Segmentation fault' ;; 12) berth_word='User defined signal 2' ;; 13) berth_word='Broken pipe' ;; 15) berth_word=Terminated ;;
    *) berth_word= ;;
  esac
}
berth_tell_exit() { # NODE TASKS CODE
  [ "$3" != 0 ] || return 0
  case $2 in *[-,]*) berth_plural=tasks ;; *) berth_plural=task ;; esac
  berth_word=
  [ "$3" -le 128 ] || berth_signal_word "$3"
  if [ -n "$berth_word" ]; then berth_say "error: $1: $berth_plural $2: $berth_word"
  else berth_say "error: $1: $berth_plural $2: Exited with exit code $3"; fi
}

# One task on this node that shares nothing: no folder, no copies.
if [ "$berth_n" = 1 ] && [ -z "$berth_remote$berth_label$berth_teeing" ]; then
  berth_on_node 0
  if [ -n "$berth_pty" ]; then
    berth_prefixed=
    trap : INT QUIT TERM
    (trap - INT QUIT TERM; berth_open_and_become 0 0)
    berth_code=$?
  else
    (berth_open_and_become 0 0) <&6 &
    berth_pid=$!
    exec 2>&2
    for berth_word in HUP INT QUIT TERM USR1 USR2 CONT; do
      trap "kill -s $berth_word -- -$berth_pid 2>/dev/null || kill -s $berth_word $berth_pid 2>/dev/null" "$berth_word"
    done
    echo "pid $berth_pid" >>"$berth_record"
    berth_wait "$berth_pid"
    trap '' TERM INT
    kill -s KILL -- "-$berth_pid" 2>/dev/null
  fi
  berth_tell_exit "$SLURMD_NODENAME" 0 "$berth_code"
  berth_end_of_step "$berth_code"
fi

mkdir "$berth_step" && mkfifo "$berth_step/events" || berth_refused "no room in the job's folder"
exec 8<>"$berth_step/events"
berth_sinks=
case $berth_teeing in
  all)
    berth_at=0
    while [ "$berth_at" -lt "$berth_n" ]; do mkfifo "$berth_step/i.$berth_at"; berth_sinks="$berth_sinks $berth_step/i.$berth_at"; berth_at=$((berth_at + 1)); done
    ;;
  ?*) mkfifo "$berth_step/i.$berth_teeing"; berth_sinks=" $berth_step/i.$berth_teeing" ;;
esac
if [ -n "$berth_remote" ]; then
  {
    for berth_word in id directory programs command input output error append label width_of_labels odd cyclic; do
      eval "berth_quote \\"\\$berth_$berth_word\\""
      echo "berth_$berth_word=$berth_quoted"
    done
    berth_at=0
    while [ "$berth_at" -lt "$berth_count_of_nodes" ]; do
      for berth_word in node tasks first cpus ranks; do
        eval "echo \\"berth_\${berth_word}_$berth_at='\\$berth_\${berth_word}_$berth_at'\\""
      done
      berth_at=$((berth_at + 1))
    done
    # What the other node itself is stays so.
    export -p | sed '/^\\(export\\|declare -x\\) \\(BERTH_STEPS\\|BERTH_POD_UID\\|BERTH_BIN\\|PWD\\|OLDPWD\\|SHLVL\\|_\\)=/d'
    echo "umask $SLURM_UMASK"
  } >"$berth_step/job"
  for berth_at in $berth_remote; do
    mkfifo "$berth_step/o.$berth_at" "$berth_step/r.$berth_at"
    eval "berth_slot=\\$berth_slot_$berth_at"
    berth_tries=0
    until [ -p "$berth_folder/node.$berth_slot" ]; do
      berth_tries=$((berth_tries + 1))
      if [ "$berth_tries" -gt 600 ]; then
        eval "berth_say \\"error: \\$berth_node_$berth_at does not answer\\""
        berth_end_of_step 1
      fi
      sleep 0.05 2>/dev/null || sleep 1
    done
    # Its output comes through here; when the node closes it, it has ended its part, or is gone.
    (trap '' HUP INT QUIT TERM USR1 USR2; exec cat <"$berth_step/r.$berth_at" >&2) 8>&- &
    (trap '' HUP INT QUIT TERM USR1 USR2; cat <"$berth_step/o.$berth_at"; wait; echo "gone $berth_at" >&8) &
    echo "run step.$berth_job.$berth_id $berth_at" 1<>"$berth_folder/node.$berth_slot"
  done
fi

# Of a node that went before, the FIFO is still there.
if [ -n "$berth_remote" ]; then
  (sleep 60; echo unanswered >&8) >/dev/null 2>&1 </dev/null &
  berth_timers=$!
fi

berth_at=0 berth_local_index=
while [ "$berth_at" -lt "$berth_count_of_nodes" ]; do
  case " $berth_remote " in *" $berth_at "*) ;; *) berth_local_index=$berth_at ;; esac
  berth_at=$((berth_at + 1))
done
berth_send() {
  [ -z "$berth_local_index" ] || berth_kill "$1" "$berth_step/p.$berth_local_index"
  for berth_target in $berth_remote; do
    eval "berth_slot=\\$berth_slot_$berth_target"
    echo "signal $1 step.$berth_job.$berth_id $berth_target" 1<>"$berth_folder/node.$berth_slot"
  done
}
for berth_word in HUP INT QUIT TERM USR1 USR2 CONT; do trap "berth_send $berth_word" "$berth_word"; done
if [ -n "$berth_local_index" ]; then
  : >"$berth_step/p.$berth_local_index"
  (trap : HUP INT QUIT TERM USR1 USR2; berth_on_node "$berth_local_index"; berth_start_tasks; wait) 8>&- &
fi
if [ -n "$berth_sinks" ]; then
  (trap '' PIPE TERM INT; exec tee $berth_sinks <&6 >/dev/null 2>&1) 8>&- &
  berth_tee=$!
fi

berth_left=$berth_n berth_worst=0 berth_ended=' ' berth_terminating= berth_gone=0
berth_started=' '
while [ "$berth_left" -gt 0 ]; do
  read -r berth_word berth_rank berth_code berth_index <&8 || continue
  case $berth_word in
    end)
      case $berth_ended in *" $berth_rank "*) continue ;; esac
      berth_ended="$berth_ended$berth_rank "
      berth_left=$((berth_left - 1))
      [ "$berth_code" -le "$berth_worst" ] || berth_worst=$berth_code
      if [ "$berth_code" != 0 ]; then
        eval "berth_tell_exit \\"\\$berth_node_$berth_index\\" $berth_rank $berth_code"
        if [ -n "$berth_bad" ] && [ -z "$berth_terminating" ]; then
          berth_terminating=1
          berth_say "launch/slurm: _step_signal: Terminating StepId=$berth_job.$berth_id"
          berth_send TERM
          # Who was only just beginning did not hear it.
          (sleep 1; echo again; sleep 2; echo again; sleep 7; echo kill) >&8 2>/dev/null &
          berth_timers="\${berth_timers-} $!"
        fi
      fi
      if [ "$berth_patience" -gt 0 ] && [ "$berth_left" -gt 0 ] && [ -z "$berth_terminating" ]; then
        berth_terminating=1
        (sleep "$berth_patience"; echo late >&8) >/dev/null 2>&1 &
        berth_timers="\${berth_timers-} $!"
      fi
      ;;
    late) berth_say "error: timeout waiting for task launch, ending the tasks that are left"; berth_send TERM; berth_send KILL ;;
    again) berth_send TERM ;;
    kill) berth_send KILL ;;
    start) berth_started="$berth_started$berth_rank " ;;
    unanswered)
      for berth_at in $berth_remote; do
        case $berth_started in *" $berth_at "*) continue ;; esac
        eval "berth_say \\"error: \\$berth_node_$berth_at does not answer\\""
        # Whoever waits there for output finds its end.
        : 1<>"$berth_step/o.$berth_at"
        : 1<>"$berth_step/r.$berth_at"
      done
      ;;
    # Of scancel.
    signal) berth_send "$berth_rank" ;;
    gone)
      # Its ends were written before.
      eval "berth_ranks=\\\${berth_ranks_$berth_rank}; berth_first=\\$berth_first_$berth_rank berth_count=\\$berth_tasks_$berth_rank"
      if [ -z "$berth_ranks" ]; then
        berth_at=0
        while [ "$berth_at" -lt "$berth_count" ]; do berth_ranks="$berth_ranks $((berth_first + berth_at))" berth_at=$((berth_at + 1)); done
      fi
      berth_gone=$((berth_gone + 1))
      for berth_at in $(echo "$berth_ranks" | tr , ' '); do
        case $berth_ended in *" $berth_at "*) continue ;; esac
        berth_ended="$berth_ended$berth_at "
        berth_left=$((berth_left - 1)) berth_worst=$((berth_worst > 1 ? berth_worst : 1))
        eval "berth_say \\"error: \\$berth_node_$berth_rank: task $berth_at: the node is gone\\""
        if [ -z "$berth_terminating" ]; then
          berth_terminating=1
          berth_send TERM
          (sleep 10; echo kill >&8) >/dev/null 2>&1 </dev/null &
          berth_timers="\${berth_timers-} $!"
        fi
      done
      ;;
  esac
done
for berth_word in HUP INT QUIT TERM USR1 USR2 CONT; do trap : "$berth_word"; done
[ -z "\${berth_tee-}" ] || kill -s KILL "$berth_tee" 2>/dev/null
[ -z "\${berth_timers-}" ] || kill $berth_timers 2>/dev/null
[ -z "$berth_local_index" ] || berth_kill KILL "$berth_step/p.$berth_local_index"
berth_at=$(set -- $berth_remote; echo $#)
while [ "$berth_gone" -lt "$berth_at" ]; do
  read -r berth_word berth_rank berth_rest <&8 || continue
  [ "$berth_word" != gone ] || berth_gone=$((berth_gone + 1))
done
wait 2>/dev/null
berth_end_of_step "$berth_worst"
`;
