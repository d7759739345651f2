// The smallest language model that trains, as the compiler would put it into an artifact: row t of w (vocab, vocab) holds the logits of
// what follows token t. For the tests of the run's loop, checkpoints and generation.
#include <math.h>
#include <stdint.h>

static float log_sum_exp(const float *row, int64_t n) {
  float most = row[0], sum = 0;
  for (int64_t i = 1; i < n; ++i) most = row[i] > most ? row[i] : most;
  for (int64_t i = 0; i < n; ++i) sum += expf(row[i] - most);
  return most + logf(sum);
}

// buffers: tokens, targets, inverse_targets, w, gradient, loss; sizes: tokens, vocab. One item.
void accumulate(char *const *b, const int64_t *sizes, int64_t begin, int64_t end, char *scratch) {
  const int32_t *tokens = (const int32_t *)b[0], *targets = (const int32_t *)b[1];
  float inverse = *(const float *)b[2], *gradient = (float *)b[4], *loss = (float *)b[5];
  const float *w = (const float *)b[3];
  for (int64_t i = 0; i < sizes[0]; ++i) {
    if (targets[i] < 0) continue;
    const float *row = w + tokens[i] * sizes[1];
    float *out = gradient + tokens[i] * sizes[1], lse = log_sum_exp(row, sizes[1]);
    for (int64_t j = 0; j < sizes[1]; ++j) out[j] += expf(row[j] - lse) * inverse;
    out[targets[i]] -= inverse;
    *loss += (lse - row[targets[i]]) * inverse;
  }
}

// buffers: w, momentum, gradient, lr, loss, loss_limit, norm, norm_limit; items: elements of w.
void update(char *const *b, const int64_t *sizes, int64_t begin, int64_t end, char *scratch) {
  float *w = (float *)b[0], *momentum = (float *)b[1], lr = *(const float *)b[3];
  const float *gradient = (const float *)b[2];
  if (!(*(const float *)b[4] <= *(const float *)b[5] && *(const float *)b[6] <= *(const float *)b[7])) return;
  for (int64_t i = begin; i < end; ++i) {
    momentum[i] = 0.9f * momentum[i] + gradient[i];
    w[i] -= lr * momentum[i];
  }
}

// buffers: gradient, norm; sizes: elements. One item.
void norm(char *const *b, const int64_t *sizes, int64_t begin, int64_t end, char *scratch) {
  const float *gradient = (const float *)b[0];
  double sum = 0;
  for (int64_t i = 0; i < sizes[0]; ++i) sum += (double)gradient[i] * gradient[i];
  *(float *)b[1] = (float)sqrt(sum);
}

// buffers: tokens, targets, w, logprobs, loss_sum; sizes: tokens, vocab. One item.
void evaluate(char *const *b, const int64_t *sizes, int64_t begin, int64_t end, char *scratch) {
  const int32_t *tokens = (const int32_t *)b[0], *targets = (const int32_t *)b[1];
  const float *w = (const float *)b[2];
  float *logprobs = (float *)b[3], *loss_sum = (float *)b[4];
  *loss_sum = 0;
  for (int64_t i = 0; i < sizes[0]; ++i) {
    const float *row = w + tokens[i] * sizes[1];
    logprobs[i] = targets[i] < 0 ? 0 : row[targets[i]] - log_sum_exp(row, sizes[1]);
    *loss_sum -= logprobs[i];
  }
}

// buffers: tokens, last, w, logits, lse; sizes: vocab. One item.
void predict(char *const *b, const int64_t *sizes, int64_t begin, int64_t end, char *scratch) {
  const int32_t *tokens = (const int32_t *)b[0], *last = (const int32_t *)b[1];
  const float *row = (const float *)b[2] + tokens[*last] * sizes[0];
  float *logits = (float *)b[3];
  for (int64_t i = 0; i < sizes[0]; ++i) logits[i] = row[i];
  *(float *)b[4] = log_sum_exp(row, sizes[0]);
}
