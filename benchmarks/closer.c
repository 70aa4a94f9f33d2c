/* The floor of floors: closer.py in C.
 *
 *     closer PORT COUNT
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello\n";

static int listening(int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    int yes = 1, number = socket(AF_INET, SOCK_STREAM, 0);

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(number, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (number < 0 || bind(number, (struct sockaddr *)&address, sizeof address) ||
        listen(number, 1024)) {
        perror("closer");
        exit(1);
    }
    return number;
}

int main(int argc, char **argv)
{
    char heard[4096];
    int port, got, count, accepted = 0, *connections;
    sigset_t set;

    if (argc != 3)
        return 2;
    count = atoi(argv[2]);
    connections = calloc(count, sizeof *connections);
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_BLOCK, &set, NULL);
    port = listening(atoi(argv[1]));
    while (accepted < count) {
        int connection = accept(port, NULL, NULL);

        if (connection < 0) {
            perror("closer");
            return 1;
        }
        /* The first to connect only looks whether somebody listens. */
        if (read(connection, heard, sizeof heard) > 0 &&
            write(connection, answer, strlen(answer)) > 0)
            connections[accepted++] = connection;
        else
            close(connection);
    }
    sigwait(&set, &got);
    for (int number = 0; number < count; number++) {
        shutdown(connections[number], SHUT_RDWR);
        close(connections[number]);
    }
    return 0;
}
