/* Adds containers' links to a flowtable, so that what their connections carry takes the short way.
 *
 *   flows TABLE FLOWTABLE
 *
 * Both are there already (/etc/flows.nft, which says what they are for). A link is a container's when
 * it is a veth and the port of a bridge; the kernel tells of each, and takes out those that end.
 * Adding one that is in it changes nothing. Of a link that is not, connections take the long way, at
 * least in one direction, and nothing else is different. When the table is gone this ends, and whoever
 * starts it again makes the table first.
 * See rtnetlink(7), and NFT_MSG_NEWFLOWTABLE in linux/netfilter/nf_tables.h.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <linux/if_link.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdbool.h>

#include "own.h"

enum { ROOM = 65536, KNOWN = 65536, MESSAGE = 1024, WAITING = 4 << 20 /* bytes */ };

static const char *table, *flowtable;

static int netlink(int protocol, unsigned groups) {
  struct sockaddr_nl address = {.nl_family = AF_NETLINK, .nl_groups = groups};
  int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol), room = WAITING;
  if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room) < 0 ||
      bind(fd, (struct sockaddr *)&address, sizeof address) < 0)
    fail("netlink");
  return fd;
}

/* --- telling nf_tables -------------------------------------------------------------------------- */

static struct nlmsghdr *begin(char **at, int type, int flags, int family, int resource) {
  struct nlmsghdr *head = (struct nlmsghdr *)*at;
  *head = (struct nlmsghdr){NLMSG_LENGTH(sizeof(struct nfgenmsg)), type, NLM_F_REQUEST | flags, 0, 0};
  *(struct nfgenmsg *)NLMSG_DATA(head) =
      (struct nfgenmsg){family, NFNETLINK_V0, htons(resource)};
  *at += head->nlmsg_len;
  return head;
}

static struct rtattr *put(char **at, int type, const void *data, size_t size) {
  struct rtattr *made = (struct rtattr *)*at;
  made->rta_type = type;
  made->rta_len = RTA_LENGTH(size);
  if (size > 0) memcpy(RTA_DATA(made), data, size);
  *at += RTA_ALIGN(made->rta_len);
  return made;
}

static void put_text(char **at, int type, const char *text) { put(at, type, text, strlen(text) + 1); }

/* Whatever was put since `from` is what it holds. */
static void close_nest(struct rtattr *from, char *at) { from->rta_len = at - (char *)from; }

/* Whether it is in the flowtable now. */
static bool add(int nft, const char *link) {
  char message[MESSAGE] __attribute__((aligned(NLMSG_ALIGNTO))) = {0}, *at = message;
  uint32_t ingress = htonl(NF_NETDEV_INGRESS), priority = htonl(0);
  int type = NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWFLOWTABLE;
  begin(&at, NFNL_MSG_BATCH_BEGIN, 0, AF_UNSPEC, NFNL_SUBSYS_NFTABLES);
  struct nlmsghdr *head = begin(&at, type, NLM_F_CREATE | NLM_F_ACK, NFPROTO_IPV4, 0);
  put_text(&at, NFTA_FLOWTABLE_TABLE, table);
  put_text(&at, NFTA_FLOWTABLE_NAME, flowtable);
  struct rtattr *hook = put(&at, NLA_F_NESTED | NFTA_FLOWTABLE_HOOK, NULL, 0);
  put(&at, NFTA_FLOWTABLE_HOOK_NUM, &ingress, sizeof ingress);
  put(&at, NFTA_FLOWTABLE_HOOK_PRIORITY, &priority, sizeof priority);
  struct rtattr *links = put(&at, NLA_F_NESTED | NFTA_FLOWTABLE_HOOK_DEVS, NULL, 0);
  put_text(&at, NFTA_DEVICE_NAME, link);
  close_nest(links, at);
  close_nest(hook, at);
  head->nlmsg_len = at - (char *)head;
  begin(&at, NFNL_MSG_BATCH_END, 0, AF_UNSPEC, NFNL_SUBSYS_NFTABLES);
  if (send(nft, message, at - message, 0) < 0 || recv(nft, message, sizeof message, 0) < 0)
    fail("nf_tables");
  struct nlmsghdr *answer = (struct nlmsghdr *)message;
  int error = answer->nlmsg_type == NLMSG_ERROR ? -((struct nlmsgerr *)NLMSG_DATA(answer))->error : 0;
  if (error == 0) return true;
  errno = error;
  if (error == ENOENT && if_nametoindex(link) != 0) fail(flowtable);
  if (error != ENOENT) fprintf(stderr, "flows: %s: %s\n", link, strerror(error));
  return false; /* mostly because it has ended meanwhile */
}

/* --- hearing of links --------------------------------------------------------------------------- */

static void ask_for_all(int route) {
  struct {
    struct nlmsghdr head;
    struct ifinfomsg about;
  } question = {{sizeof question, RTM_GETLINK, NLM_F_REQUEST | NLM_F_DUMP, 0, 0}, {0}};
  if (send(route, &question, sizeof question, 0) < 0) fail("links");
}

/* Its name where the link is a container's, else NULL. */
static const char *container_link(struct nlmsghdr *head) {
  struct ifinfomsg *about = NLMSG_DATA(head);
  const char *name = NULL;
  bool is_port = false, is_veth = false;
  int left = IFLA_PAYLOAD(head);
  if (about->ifi_family != AF_UNSPEC) return NULL; /* what a bridge says of its port */
  for (struct rtattr *it = IFLA_RTA(about); RTA_OK(it, left); it = RTA_NEXT(it, left)) {
    if (it->rta_type == IFLA_IFNAME) name = RTA_DATA(it);
    if (it->rta_type == IFLA_MASTER) is_port = true;
    if ((it->rta_type & NLA_TYPE_MASK) != IFLA_LINKINFO) continue;
    struct rtattr *kind = RTA_DATA(it);
    int inside = RTA_PAYLOAD(it);
    for (; RTA_OK(kind, inside); kind = RTA_NEXT(kind, inside))
      if (kind->rta_type == IFLA_INFO_KIND) is_veth = strcmp(RTA_DATA(kind), "veth") == 0;
  }
  return is_port && is_veth ? name : NULL;
}

/* The kernel tells of a link at each change of it: each is added once. Numbers of links only grow. */
static void take(int nft, struct nlmsghdr *head) {
  static bool known[KNOWN];
  bool *is_known = &known[((struct ifinfomsg *)NLMSG_DATA(head))->ifi_index % KNOWN];
  const char *name = head->nlmsg_type == RTM_NEWLINK ? container_link(head) : NULL;
  if (head->nlmsg_type == RTM_DELLINK) *is_known = false;
  if (name != NULL && !*is_known) *is_known = add(nft, name);
}

int main(int count, char **words) {
  static char told[ROOM] __attribute__((aligned(NLMSG_ALIGNTO)));
  if (count != 3) {
    fprintf(stderr, "usage: flows TABLE FLOWTABLE\n");
    return 2;
  }
  table = words[1], flowtable = words[2];
  int route = netlink(NETLINK_ROUTE, RTMGRP_LINK), nft = netlink(NETLINK_NETFILTER, 0);
  ask_for_all(route);
  for (;;) {
    ssize_t size = recv(route, told, sizeof told, 0);
    if (size < 0 && errno == ENOBUFS) ask_for_all(route); /* it could not keep all for us */
    else if (size < 0) fail("links");
    int left = size > 0 ? size : 0;
    for (struct nlmsghdr *it = (struct nlmsghdr *)told; NLMSG_OK(it, left); it = NLMSG_NEXT(it, left))
      if (it->nlmsg_type == RTM_NEWLINK || it->nlmsg_type == RTM_DELLINK) take(nft, it);
  }
}
