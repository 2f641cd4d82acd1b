/* Adds containers' links to a flowtable, so that the kernel offloads their connections to it.
 *
 *   flows TABLE FLOWTABLE
 *
 * Both exist already (/etc/flows.nft, which documents their purpose). A link belongs to a container
 * when it is a veth and the port of a bridge. The kernel reports every link, and removes those that
 * end. Adding a link again changes nothing. Connections of a link that is not in the flowtable are not
 * offloaded, at least in one direction, and work all the same. This program ends when the table is
 * deleted; `service` restarts it after making the table again.
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

/* --- nf_tables ---------------------------------------------------------------------------------- */

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

/* Set the length of the nested attribute `from`: it contains all that was put since. */
static void close_nest(struct rtattr *from, char *at) { from->rta_len = at - (char *)from; }

/* Add a link; returns whether it is in the flowtable now. */
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
  return false; /* usually because the link has ended meanwhile */
}

/* --- links -------------------------------------------------------------------------------------- */

static void request_all_links(int route) {
  struct {
    struct nlmsghdr head;
    struct ifinfomsg about;
  } request = {{sizeof request, RTM_GETLINK, NLM_F_REQUEST | NLM_F_DUMP, 0, 0}, {0}};
  if (send(route, &request, sizeof request, 0) < 0) fail("links");
}

/* The link's name where it belongs to a container, else NULL. */
static const char *container_link(struct nlmsghdr *head) {
  struct ifinfomsg *about = NLMSG_DATA(head);
  const char *name = NULL;
  bool is_port = false, is_veth = false;
  int left = IFLA_PAYLOAD(head);
  if (about->ifi_family != AF_UNSPEC) return NULL; /* a bridge's report about its port */
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

/* The kernel reports a link at each change of it: add it once. Link numbers only grow. */
static void handle_link(int nft, struct nlmsghdr *head) {
  static bool known[KNOWN];
  bool *is_known = &known[((struct ifinfomsg *)NLMSG_DATA(head))->ifi_index % KNOWN];
  const char *name = head->nlmsg_type == RTM_NEWLINK ? container_link(head) : NULL;
  if (head->nlmsg_type == RTM_DELLINK) *is_known = false;
  if (name != NULL && !*is_known) *is_known = add(nft, name);
}

int main(int count, char **words) {
  static char buffer[ROOM] __attribute__((aligned(NLMSG_ALIGNTO)));
  if (count != 3) {
    fprintf(stderr, "usage: flows TABLE FLOWTABLE\n");
    return 2;
  }
  table = words[1], flowtable = words[2];
  int route = netlink(NETLINK_ROUTE, RTMGRP_LINK), nft = netlink(NETLINK_NETFILTER, 0);
  request_all_links(route);
  for (;;) {
    ssize_t size = recv(route, buffer, sizeof buffer, 0);
    if (size < 0 && errno == ENOBUFS) request_all_links(route); /* the socket's buffer was full */
    else if (size < 0) fail("links");
    int left = size > 0 ? size : 0;
    for (struct nlmsghdr *it = (struct nlmsghdr *)buffer; NLMSG_OK(it, left); it = NLMSG_NEXT(it, left))
      if (it->nlmsg_type == RTM_NEWLINK || it->nlmsg_type == RTM_DELLINK) handle_link(nft, it);
  }
}
