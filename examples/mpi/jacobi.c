/*
 * The heat of a plate: -u'' = 2 pi^2 sin(pi x) sin(pi y) on the unit square, zero at its edges, by Jacobi's method. The solution is
 * known, sin(pi x) sin(pi y), so that the program can tell how far off it is. Rows are dealt out over the ranks, which exchange the
 * rows at their borders in each iteration. Each point is computed by the same operations whatever the number of ranks, so that all
 * digits of the answer agree.
 */
#include <math.h>
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv) {
  MPI_Init(&argc, &argv);
  int rank, ranks, length;
  char host[MPI_MAX_PROCESSOR_NAME];
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &ranks);
  MPI_Get_processor_name(host, &length);
  const int points = argc > 1 ? atoi(argv[1]) : 32;
  const double step = 1.0 / (points + 1), pi = acos(-1.0), tolerance = 1e-7;
  const int rows = points / ranks + (rank < points % ranks);
  const int first = rank * (points / ranks) + (rank < points % ranks ? rank : points % ranks);
  const int width = points + 2;
  double *now = calloc((size_t)(rows + 2) * width, sizeof *now);
  double *next = calloc((size_t)(rows + 2) * width, sizeof *next);
  double *heat = calloc((size_t)(rows + 2) * width, sizeof *heat);
  for (int i = 1; i <= rows; i++)
    for (int j = 1; j <= points; j++)
      heat[i * width + j] = step * step * 2 * pi * pi * sin(pi * (first + i) * step) * sin(pi * j * step);
  const int up = rank > 0 ? rank - 1 : MPI_PROC_NULL, down = rank < ranks - 1 ? rank + 1 : MPI_PROC_NULL;
  int iterations = 0;
  double change = 1;
  do {
    MPI_Sendrecv(now + width, width, MPI_DOUBLE, up, 0, now + (rows + 1) * width, width, MPI_DOUBLE, down, 0,
                 MPI_COMM_WORLD, MPI_STATUS_IGNORE);
    MPI_Sendrecv(now + rows * width, width, MPI_DOUBLE, down, 1, now, width, MPI_DOUBLE, up, 1, MPI_COMM_WORLD,
                 MPI_STATUS_IGNORE);
    double own = 0;
    for (int i = 1; i <= rows; i++)
      for (int j = 1; j <= points; j++) {
        const int at = i * width + j;
        next[at] = 0.25 * (now[at - width] + now[at + width] + now[at - 1] + now[at + 1] + heat[at]);
        own = fmax(own, fabs(next[at] - now[at]));
      }
    double *swap = now;
    now = next;
    next = swap;
    iterations++;
    /* All agree on when to stop; to ask in each iteration would cost more than the iteration. */
    if (iterations % 16 == 0) MPI_Allreduce(&own, &change, 1, MPI_DOUBLE, MPI_MAX, MPI_COMM_WORLD);
  } while (change > tolerance);
  double own = 0, error;
  for (int i = 1; i <= rows; i++)
    for (int j = 1; j <= points; j++)
      own = fmax(own, fabs(now[i * width + j] - sin(pi * (first + i) * step) * sin(pi * j * step)));
  MPI_Allreduce(&own, &error, 1, MPI_DOUBLE, MPI_MAX, MPI_COMM_WORLD);
  printf("rank %d of %d on %s has %d rows\n", rank, ranks, host, rows);
  fflush(stdout);
  MPI_Barrier(MPI_COMM_WORLD);
  if (rank == 0) printf("%d iterations, off by at most %.15e\n", iterations, error);
  MPI_Finalize();
  /* What a grid of this width cannot tell. */
  return error < step * step ? 0 : 1;
}
