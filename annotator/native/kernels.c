/* What detection does with pixels and boxes between two networks, and two things that networks and galleries are
 * quicker with: a first layer, and products of whole numbers. annotator/native/__init__.py says what each function
 * takes, and checks it: nothing is checked here. Nothing here knows of Python, so the interpreter is free meanwhile.
 */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

/* Each function is compiled for three generations of processors, of which the loader takes the one that is there. */
#if defined(__x86_64__) && defined(__GLIBC__) && !defined(__clang__) && __GNUC__ >= 12
#define FOR_EACH_PROCESSOR __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define FOR_EACH_PROCESSOR
#endif
#define INLINE static inline __attribute__((always_inline))

/* hatch_build.py gives it a name with the digest of this file: __init__.py refuses the library of another. */
const char MADE_FROM = 1;

#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))

#define MOST_CELLS 512 /* of a line of a piece, or of a crop; __init__.py checks it */

#define MOST_ROWS 256 /* whose bytes add up to less than 16 bits */

typedef struct {
    const uint8_t *pixels; /* height x width x 3 */
    int64_t height, width;
} Frame;

typedef struct {
    int64_t frame, level, level_height, level_width;
    int64_t y, x, height, width;        /* of the piece, in the level */
    int64_t canvas, canvas_y, canvas_x; /* where it lies */
} Piece;

/* Four numbers that are added at once, wherever they lie; the last is of no use. */
typedef uint32_t Four __attribute__((vector_size(16), aligned(4), may_alias));
typedef int32_t SignedFour __attribute__((vector_size(16)));
typedef float FourFloats __attribute__((vector_size(16), aligned(4), may_alias));

INLINE int64_t window_start(int64_t cell, int64_t length, int64_t cells) { return cell * length / cells; }

INLINE int64_t window_end(int64_t cell, int64_t length, int64_t cells)
{
    return ((cell + 1) * length + cells - 1) / cells;
}

/* Add up rows of bytes into a row of sums; `part` is for 16 bits, of which vectors take twice as many. */
INLINE void add_rows(uint32_t *restrict sums, uint16_t *restrict part, const uint8_t *rows, int64_t count,
                     int64_t stride, int64_t size)
{
    for (int64_t done = 0; done < count; done += MOST_ROWS) {
        int64_t left = MIN(count - done, MOST_ROWS);
        const uint8_t *restrict a = rows + done * stride;
        if (left % 4 == 0)
            for (int64_t i = 0; i < size; i++)
                part[i] = a[i] + a[i + stride] + a[i + 2 * stride] + a[i + 3 * stride];
        else if (left % 4 == 3)
            for (int64_t i = 0; i < size; i++)
                part[i] = a[i] + a[i + stride] + a[i + 2 * stride];
        else if (left % 4 == 2)
            for (int64_t i = 0; i < size; i++)
                part[i] = a[i] + a[i + stride];
        else
            for (int64_t i = 0; i < size; i++)
                part[i] = a[i];
        for (int64_t row = (left + 3) % 4 + 1; row < left; row += 4) {
            a = rows + (done + row) * stride;
            for (int64_t i = 0; i < size; i++)
                part[i] += a[i] + a[i + stride] + a[i + 2 * stride] + a[i + 3 * stride];
        }
        if (done == 0)
            for (int64_t i = 0; i < size; i++)
                sums[i] = part[i];
        else
            for (int64_t i = 0; i < size; i++)
                sums[i] += part[i];
    }
}

/* Shrink a part of a frame, or enlarge it, by the plain mean over windows of whole pixels.
 *
 * The part is source_height x source_width at `pixels`; of its height x width means those of `rows` and `columns`,
 * from `y` and `x` on, go to `out`. `line` has room for 9 numbers for each column of the part, and 16 more.
 */
INLINE void shrink(const uint8_t *pixels, int64_t stride, int64_t source_height, int64_t source_width, int64_t height,
                   int64_t width, int64_t y, int64_t x, int64_t rows, int64_t columns, float *out, int64_t out_stride,
                   uint32_t *line)
{
    int32_t left[MOST_CELLS], right[MOST_CELLS];
    float share_of_column[MOST_CELLS];
    int64_t first = window_start(x, source_width, width), last = window_end(x + columns - 1, source_width, width);
    for (int64_t j = 0; j < columns; j++) {
        left[j] = (int32_t)(window_start(x + j, source_width, width) - first);
        right[j] = (int32_t)(window_end(x + j, source_width, width) - first);
        share_of_column[j] = (float)(1.0 / (right[j] - left[j]));
    }
    int64_t size = last - first;
    uint32_t *sums = line;                        /* of each column, over a window's rows: 3 * size */
    Four *before = (Four *)(line + 3 * size + 4); /* of all columns before one: size + 1 */
    uint16_t *part = (uint16_t *)(line + 7 * size + 8);
    int64_t last_top = -1, last_bottom = -1;
    for (int64_t i = 0; i < rows; i++) {
        int64_t top = window_start(y + i, source_height, height), bottom = window_end(y + i, source_height, height);
        if (top != last_top || bottom != last_bottom) {
            add_rows(sums, part, pixels + top * stride + 3 * first, bottom - top, stride, 3 * size);
            Four sum = {0, 0, 0, 0};
            before[0] = sum;
            for (int64_t j = 0; j < size; j++) {
                sum += *(const Four *)(sums + 3 * j);
                before[j + 1] = sum;
            }
            last_top = top, last_bottom = bottom;
        }
        float *line_out = out + i * out_stride;
        float share_of_row = (float)(1.0 / (bottom - top));
        for (int64_t j = 0; j < columns; j++) {
            SignedFour sum = (SignedFour)(before[right[j]] - before[left[j]]);
            float share = share_of_row * share_of_column[j];
            FourFloats mean = __builtin_convertvector(sum, FourFloats) * (FourFloats){share, share, share, share};
            if (j + 1 < columns)
                *(FourFloats *)(line_out + 3 * j) = mean; /* the fourth is overwritten by the next */
            else
                memcpy(line_out + 3 * j, &mean, 3 * sizeof(float));
        }
    }
}

static uint32_t *line_for(const Frame *frames, int64_t count)
{
    int64_t widest = 0;
    for (int64_t i = 0; i < count; i++)
        widest = MAX(widest, frames[i].width);
    return malloc((size_t)(9 * widest + 16) * sizeof(uint32_t));
}

FOR_EACH_PROCESSOR
int draw(const Frame *frames, int64_t frame_count, const Piece *pieces, int64_t count, float *canvases,
         int64_t canvas_height, int64_t canvas_width)
{
    uint32_t *line = line_for(frames, frame_count);
    if (line == NULL)
        return -1;
    int64_t stride = 3 * canvas_width;
    for (int64_t n = 0; n < count; n++) {
        const Piece *piece = pieces + n;
        const Frame *frame = frames + piece->frame;
        float *out = canvases + (piece->canvas * canvas_height + piece->canvas_y) * stride + 3 * piece->canvas_x;
        shrink(frame->pixels, 3 * frame->width, frame->height, frame->width, piece->level_height, piece->level_width,
               piece->y, piece->x, piece->height, piece->width, out, stride, line);
        /* P-Net's pooling rounds up: the row or column beyond an odd side must not win it. */
        if (piece->width % 2)
            for (int64_t i = 0; i < piece->height; i++) {
                float *beyond = out + i * stride + 3 * piece->width;
                memcpy(beyond, beyond - 3, 3 * sizeof(float));
            }
        if (piece->height % 2) {
            float *below = out + piece->height * stride;
            memcpy(below, below - stride, (size_t)(3 * piece->width) * sizeof(float));
            if (piece->width % 2)
                memset(below + 3 * piece->width, 0, 3 * sizeof(float));
        }
    }
    free(line);
    return 0;
}

FOR_EACH_PROCESSOR
int cut(const Frame *frames, int64_t frame_count, const int64_t *frame_of, const int64_t *boxes, int64_t count,
        int64_t side, float *crops)
{
    uint32_t *line = line_for(frames, frame_count);
    if (line == NULL)
        return -1;
    for (int64_t n = 0; n < count; n++, boxes += 4, crops += 3 * side * side) {
        const Frame *frame = frames + frame_of[n];
        int64_t stride = 3 * frame->width;
        shrink(frame->pixels + boxes[1] * stride + 3 * boxes[0], stride, boxes[3] - boxes[1], boxes[2] - boxes[0], side,
               side, 0, 0, side, side, crops, 3 * side, line);
    }
    free(line);
    return 0;
}

/* Windows of pieces whose logit is at least so much: their piece, row and column on the canvas; returns how many. */
FOR_EACH_PROCESSOR
int64_t pick(const float *outputs, int64_t rows, int64_t columns, int64_t depth, const Piece *pieces, int64_t count,
             float least, int32_t *picked)
{
    int64_t found = 0;
    for (int64_t n = 0; n < count; n++) {
        const Piece *piece = pieces + n;
        int64_t top = piece->canvas_y / 2, left = piece->canvas_x / 2;
        int64_t bottom = top + (piece->height + piece->height % 2 - 10) / 2;
        int64_t right = left + (piece->width + piece->width % 2 - 10) / 2;
        for (int64_t row = top; row < bottom; row++) {
            const float *logits = outputs + (piece->canvas * rows + row) * columns * depth + depth - 1;
            for (int64_t column = left; column < right; column++)
                if (logits[column * depth] >= least) {
                    int32_t *one = picked + 3 * found++;
                    one[0] = (int32_t)n, one[1] = (int32_t)row, one[2] = (int32_t)column;
                }
        }
    }
    return found;
}

/* Mark boxes that stay; groups lie side by side, best boxes first. */
FOR_EACH_PROCESSOR
void suppress(const float *x1, const float *y1, const float *x2, const float *y2, const float *area,
              const int64_t *starts, int64_t groups, float limit, float last_pixel, int is_of_smaller, uint8_t *stays)
{
    for (int64_t group = 0; group < groups; group++) {
        int64_t end = starts[group + 1];
        for (int64_t i = starts[group]; i < end; i++) {
            if (!stays[i])
                continue;
            for (int64_t j = i + 1; j < end; j++) {
                float width = MIN(x2[i], x2[j]) - MAX(x1[i], x1[j]) + last_pixel;
                float height = MIN(y2[i], y2[j]) - MAX(y1[i], y1[j]) + last_pixel;
                float common = MAX(width, 0) * MAX(height, 0);
                float whole = is_of_smaller ? MIN(area[i], area[j]) : area[i] + area[j] - common;
                stays[j] &= !(common / whole > limit);
            }
        }
    }
}

/* The first layer of a network, its activation and its pooling, for processors with AVX2. */

#if defined(__x86_64__)
#define WITH_AVX2 __attribute__((target("avx2,fma")))
#define EACH _Pragma("GCC unroll 8") for
#define LANES 8
#define SUMS 8       /* at once: as many as a processor has fused products under way */
#define TAPS (3 * 3) /* of a row: three pixels of three colours */
#define RING 4       /* rows, or lines, that are kept: a power of two; three are read at once */

typedef struct {
    const float *factors;        /* 3 rows x TAPS x vectors x LANES */
    const float *bias, *slopes; /* vectors x LANES */
    float scale, shift;
    int64_t depth;
} Layer;

/* SUMS / vectors pixels side by side, of `vectors` x LANES channels each, after the activation. */
INLINE WITH_AVX2 void convolve(const float *const rows[3], const Layer *layer, int vectors, float *out)
{
    __m256 sums[SUMS];
    EACH(int i = 0; i < SUMS; i++) sums[i] = _mm256_loadu_ps(layer->bias + i % vectors * LANES);
    const float *factors = layer->factors;
    EACH(int row = 0; row < 3; row++)
#pragma GCC unroll 3
        for (int tap = 0; tap < TAPS; tap++, factors += vectors * LANES)
            EACH(int i = 0; i < SUMS; i++)
            {
                __m256 seen = _mm256_broadcast_ss(rows[row] + 3 * (i / vectors) + tap);
                sums[i] = _mm256_fmadd_ps(seen, _mm256_loadu_ps(factors + i % vectors * LANES), sums[i]);
            }
    EACH(int i = 0; i < SUMS; i++)
    {
        const __m256 zero = _mm256_setzero_ps(), slope = _mm256_loadu_ps(layer->slopes + i % vectors * LANES);
        __m256 below = _mm256_mul_ps(_mm256_min_ps(sums[i], zero), slope);
        _mm256_storeu_ps(out + i * LANES, _mm256_add_ps(_mm256_max_ps(sums[i], zero), below));
    }
}

#define AT(line, i, v) _mm256_loadu_ps((line) + at[i] + (v) * LANES)
#define MAX_OF_LINE(line, v) _mm256_max_ps(_mm256_max_ps(AT(line, 0, v), AT(line, 1, v)), AT(line, 2, v))

/* The greatest of each window of `lines`, in steps of two; windows end with the line. */
INLINE WITH_AVX2 void pool_lines(const float *const lines[3], int64_t columns, const Layer *layer, int vectors,
                                 int pool, float *out)
{
    int64_t count = (columns + 1) / 2;
    for (int64_t x = 0; x < count; x++) {
        int64_t at[3];
        EACH(int i = 0; i < 3; i++) at[i] = MIN(2 * x + MIN(i, pool - 1), columns - 1) * vectors * LANES;
        float last[4 * LANES], *to = x + 1 < count ? out + x * layer->depth : last;
        EACH(int v = 0; v < vectors; v++)
        {
            __m256 found = MAX_OF_LINE(lines[0], v);
            found = _mm256_max_ps(found, MAX_OF_LINE(lines[1], v));
            if (pool == 3)
                found = _mm256_max_ps(found, MAX_OF_LINE(lines[2], v));
            _mm256_storeu_ps(to + v * LANES, found); /* what is too much is overwritten by the next */
        }
        if (to == last)
            memcpy(out + x * layer->depth, last, (size_t)layer->depth * sizeof(float));
    }
}

/* `kept` has room for RING rows of the picture and as many lines of the convolution. */
INLINE WITH_AVX2 void layer_of_picture(const float *picture, int64_t height, int64_t width, const Layer *layer,
                                       int vectors, int pool, float *kept, float *out)
{
    int64_t rows = height - 2, columns = width - 2, pitch = 3 * width, line = columns * vectors * LANES;
    int64_t pixels = SUMS / vectors, seen = 0, made = 0;
    float *lines = kept + RING * pitch;
    for (int64_t y = 0; y < rows; y += 2, out += (columns + 1) / 2 * layer->depth) {
        int64_t last = MIN(y + pool, rows) - 1;
        for (; made <= last; made++) {
            for (; seen < made + 3; seen++)
                for (int64_t i = 0; i < pitch; i++)
                    kept[seen % RING * pitch + i] = picture[seen * pitch + i] * layer->scale + layer->shift;
            for (int64_t x = 0; x < columns; x += pixels) {
                int64_t first = MIN(x, columns - pixels); /* the last ones overlap */
                const float *near[3];
                EACH(int i = 0; i < 3; i++) near[i] = kept + (made + i) % RING * pitch + 3 * first;
                convolve(near, layer, vectors, lines + made % RING * line + first * vectors * LANES);
            }
        }
        const float *pooled[3];
        EACH(int i = 0; i < 3; i++) pooled[i] = lines + MIN(y + i, last) % RING * line;
        pool_lines(pooled, columns, layer, vectors, pool, out);
    }
}

WITH_AVX2
int first_layer(const float *pictures, int64_t count, int64_t height, int64_t width, const float *factors,
                const float *bias, const float *slopes, float scale, float shift, int64_t depth, int64_t pool, float *out)
{
    const Layer layer = {factors, bias, slopes, scale, shift, depth};
    int vectors = depth <= 2 * LANES ? 2 : 4;
    float *kept = malloc((size_t)(RING * (3 * width + (width - 2) * vectors * LANES)) * sizeof(float));
    if (kept == NULL)
        return -1;
    for (int64_t n = 0; n < count; n++) {
        if (vectors == 2 && pool == 2)
            layer_of_picture(pictures, height, width, &layer, 2, 2, kept, out);
        else if (vectors == 2)
            layer_of_picture(pictures, height, width, &layer, 2, 3, kept, out);
        else if (pool == 2)
            layer_of_picture(pictures, height, width, &layer, 4, 2, kept, out);
        else
            layer_of_picture(pictures, height, width, &layer, 4, 3, kept, out);
        pictures += 3 * height * width, out += (height - 1) / 2 * ((width - 1) / 2) * depth;
    }
    free(kept);
    return 0;
}

/* The greatest of products of whole numbers, group by group: 16 at once in each of two of four pipes, and added in the
 * other two, where float32 has 8 in each of two. */

/* OTHERS, PAIR and LANES: __init__.py lays out what is read here for exactly so many. */
#define OTHERS 6 /* with PAIR vectors, as many sums as there are registers for */
#define PAIR 2

/* Sums of PAIR members of LANES groups with OTHERS others: the greater ones of them and of `found`, to `found`. */
INLINE WITH_AVX2 void multiply(const int16_t *vectors, const int32_t *added, const int16_t *others, int64_t size,
                               __m256i found[OTHERS])
{
    __m256i sums[PAIR * OTHERS];
    EACH(int m = 0; m < PAIR; m++)
        EACH(int i = 0; i < OTHERS; i++)
            sums[m * OTHERS + i] = _mm256_loadu_si256((const __m256i *)(added + m * LANES));
    for (int64_t k = 0; k < size; k += 2, vectors += PAIR * 2 * LANES) {
        __m256i mine[PAIR];
        EACH(int m = 0; m < PAIR; m++) mine[m] = _mm256_loadu_si256((const __m256i *)(vectors + m * 2 * LANES));
        EACH(int i = 0; i < OTHERS; i++)
        {
            int32_t two;
            memcpy(&two, others + i * size + k, sizeof two);
            __m256i other = _mm256_set1_epi32(two);
            EACH(int m = 0; m < PAIR; m++)
                sums[m * OTHERS + i] = _mm256_add_epi32(sums[m * OTHERS + i], _mm256_madd_epi16(mine[m], other));
        }
    }
    EACH(int i = 0; i < OTHERS; i++)
        found[i] = _mm256_max_epi32(found[i], _mm256_max_epi32(sums[i], sums[OTHERS + i]));
}

WITH_AVX2
void greatest(const int16_t *vectors, const int32_t *added, int64_t tiles, int64_t members, int64_t size,
              const int16_t *others, int64_t count, float unit, float *out)
{
    for (int64_t tile = 0; tile < tiles; tile++, out += LANES * count) {
        for (int64_t first = 0; first < count; first += OTHERS) {
            int64_t at = MIN(first, count - OTHERS); /* the last ones overlap */
            __m256i found[OTHERS];
            EACH(int i = 0; i < OTHERS; i++) found[i] = _mm256_set1_epi32(INT32_MIN);
            for (int64_t m = 0; m < members; m += PAIR)
                multiply(vectors + m * size * LANES, added + m * LANES, others + at * size, size, found);
            float lines[OTHERS][LANES];
            EACH(int i = 0; i < OTHERS; i++)
                _mm256_storeu_ps(lines[i], _mm256_mul_ps(_mm256_cvtepi32_ps(found[i]), _mm256_set1_ps(unit)));
            for (int64_t lane = 0; lane < LANES; lane++)
                for (int64_t i = 0; i < OTHERS; i++)
                    out[lane * count + at + i] = lines[i][lane];
        }
        vectors += members * size * LANES, added += members * LANES;
    }
}

int has_avx2(void) { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }
int has_avx512(void) { return __builtin_cpu_supports("avx512f") != 0; }
#else
int has_avx2(void) { return 0; }
int has_avx512(void) { return 0; }
#endif
