/* Adds an IPsec state as dockerd does for an encrypted overlay network, then removes it. Needs the
   modules for ESP, which the kernel loads on demand. */
#include <arpa/inet.h>
#include <linux/netlink.h>
#include <linux/xfrm.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

static struct request {
  struct nlmsghdr head;
  struct xfrm_usersa_info state;
  struct nlattr attribute;
  struct xfrm_algo_aead algorithm;
  char key[20];
} request;

static struct removal {
  struct nlmsghdr head;
  struct xfrm_usersa_id state;
} removal;

/* Returns the kernel's error number, 0 for none. */
static int ask(int netlink, struct nlmsghdr *head) {
  struct { struct nlmsghdr head; struct nlmsgerr error; char rest[512]; } answer;
  if (send(netlink, head, head->nlmsg_len, 0) < 0) return 1;
  if (recv(netlink, &answer, sizeof answer, 0) < 0) return 1;
  return -answer.error.error;
}

int main(void) {
  int netlink = socket(AF_NETLINK, SOCK_RAW, NETLINK_XFRM);
  request.head.nlmsg_len = sizeof request;
  request.head.nlmsg_type = XFRM_MSG_NEWSA;
  request.head.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL;
  request.state.family = AF_INET;
  request.state.mode = XFRM_MODE_TRANSPORT;
  request.state.id = (struct xfrm_id){{htonl(0x0a000002)}, htonl(0x1234), IPPROTO_ESP};
  request.state.saddr.a4 = htonl(0x0a000003);
  memset(&request.state.lft.soft_byte_limit, 0xff, 4 * sizeof(__u64));
  request.attribute = (struct nlattr){
      sizeof request.attribute + sizeof request.algorithm + sizeof request.key, XFRMA_ALG_AEAD};
  strcpy(request.algorithm.alg_name, "rfc4106(gcm(aes))");
  request.algorithm.alg_key_len = 8 * sizeof request.key;
  request.algorithm.alg_icv_len = 64;
  int error = ask(netlink, &request.head);
  if (error != 0) {
    printf("refused: %s\n", strerror(error));
    return 1;
  }
  removal.head.nlmsg_len = sizeof removal;
  removal.head.nlmsg_type = XFRM_MSG_DELSA;
  removal.head.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
  removal.state.daddr = request.state.id.daddr;
  removal.state.spi = request.state.id.spi;
  removal.state.family = AF_INET;
  removal.state.proto = IPPROTO_ESP;
  return ask(netlink, &removal.head);
}
