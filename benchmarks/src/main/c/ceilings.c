/* The ceilings in C, to check the Java ones: ceilings THREADS GIB RUNS prints "read GB/s" and "fma GFLOP/s", medians. */
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

static int ascending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

static double median(void *(*body)(void *), int runs)
{
	double seconds[runs];
	for (int i = 0; i < runs; i++)
		seconds[i] = run(body);
	qsort(seconds, runs, sizeof(double), ascending);
	return seconds[runs / 2];
}

int main(int argc, char **argv)
{
	if (argc != 4) {
		fprintf(stderr, "usage: %s THREADS GIB RUNS\n", argv[0]);
		return 2;
	}
	threads = atoi(argv[1]);
	int runs = atoi(argv[3]);
	long unit = 8L * LANES * threads;
	floats = (long)(atof(argv[2]) * (1L << 28)) / unit * unit;
	data = aligned_alloc(64, floats * sizeof(float));
	if (!data) {
		fprintf(stderr, "no memory for %s GiB\n", argv[2]);
		return 1;
	}
	run(fill);
	printf("%.3f\n", floats * 4.0 / median(sum, runs) / 1e9);
	printf("%.3f\n", 2.0 * FMA_ROUNDS * ACCUMULATORS * LANES * threads / median(fma_loop, runs) / 1e9);
	return 0;
}
