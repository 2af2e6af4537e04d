/*
 * The ceilings in C, to check the Java ones: ceilings THREADS GIB answers each line "read" (GB/s, the best of five passes, as in Java) and "fma"
 * (GFLOP/s) on its input with a number, so that both can measure in turns on a machine whose speed changes from minute to minute.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#ifdef __AVX512F__
#define LANES 16
#elif defined(__AVX2__)
#define LANES 8
#else
#define LANES 4
#endif
typedef float vec __attribute__((vector_size(LANES * sizeof(float))));

#define ACCUMULATORS 12
#define FMA_ROUNDS 20000000L

static float *data;
static long floats;
static int threads;
static volatile float sink;

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec * 1e-9;
}

static void *fill(void *arg)
{
	long share = floats / threads, from = (long)arg * share;
	for (long i = from; i < from + share; i++)
		data[i] = (float)(i & 1023) / 1024 - 0.5f;
	return NULL;
}

static void *sum(void *arg)
{
	long share = floats / threads, from = (long)arg * share;
	vec s[8];
	memset(s, 0, sizeof s);
	for (long i = from; i < from + share; i += 8 * LANES)
		for (int j = 0; j < 8; j++)
			s[j] += *(const vec *)(data + i + j * LANES);
	float total = 0;
	for (int j = 0; j < 8; j++)
		for (int l = 0; l < LANES; l++)
			total += s[j][l];
	sink = total;
	return NULL;
}

static void *fma_loop(void *arg)
{
	(void)arg;
	vec s[ACCUMULATORS], a, b;
	for (int l = 0; l < LANES; l++) {
		a[l] = 0.999f;
		b[l] = 0.001f * l;
	}
	for (int j = 0; j < ACCUMULATORS; j++)
		s[j] = b * (float)j;
	for (long i = 0; i < FMA_ROUNDS; i++)
		for (int j = 0; j < ACCUMULATORS; j++)
			s[j] = s[j] * a + b;
	float total = 0;
	for (int j = 0; j < ACCUMULATORS; j++)
		for (int l = 0; l < LANES; l++)
			total += s[j][l];
	sink = total;
	return NULL;
}

static double run(void *(*body)(void *))
{
	pthread_t team[threads];
	double start = now();
	for (long i = 0; i < threads; i++)
		pthread_create(&team[i], NULL, body, (void *)i);
	for (int i = 0; i < threads; i++)
		pthread_join(team[i], NULL);
	return now() - start;
}

static double best(void *(*body)(void *), int passes)
{
	double least = run(body);
	for (int i = 1; i < passes; i++) {
		double seconds = run(body);
		least = seconds < least ? seconds : least;
	}
	return least;
}

int main(int argc, char **argv)
{
	if (argc != 3) {
		fprintf(stderr, "usage: %s THREADS GIB\n", argv[0]);
		return 2;
	}
	threads = atoi(argv[1]);
	long unit = 8L * LANES * threads;
	floats = (long)(atof(argv[2]) * (1L << 28)) / unit * unit;
	data = aligned_alloc(64, floats * sizeof(float));
	if (!data) {
		fprintf(stderr, "no memory for %s GiB\n", argv[2]);
		return 1;
	}
	run(fill);
	char line[16];
	while (fgets(line, sizeof line, stdin)) {
		if (!strcmp(line, "read\n"))
			printf("%.3f\n", floats * 4.0 / best(sum, 5) / 1e9);
		else
			printf("%.3f\n", 2.0 * FMA_ROUNDS * ACCUMULATORS * LANES * threads / best(fma_loop, 1) / 1e9);
		fflush(stdout);
	}
	return 0;
}
