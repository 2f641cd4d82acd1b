/* Random bytes from the host, for a guest that resumes from a memory that others resume from, too:
 * without bytes of its own, each would generate the same keys. */
#include <fcntl.h>
#include <linux/random.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { SEED = 64 };

/* Mix them into the kernel's pool and reseed its generator at once, not within a minute. */
static bool stir(const uint8_t *seed) {
  struct {
    struct rand_pool_info about;
    uint8_t bytes[SEED];
  } added = {.about = {.entropy_count = SEED * 8, .buf_size = SEED}};
  int pool = open("/dev/urandom", O_RDWR | O_CLOEXEC);
  memcpy(added.about.buf, seed, SEED);
  bool done =
      pool >= 0 && ioctl(pool, RNDADDENTROPY, &added) == 0 && ioctl(pool, RNDRESEEDCRNG) == 0;
  close(pool);
  return done;
}
