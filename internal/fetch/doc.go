// Package fetch speaks HTTP to others: to addresses that users name, for files to
// be played and receivers of webhooks, and to services that the operator names. No
// other package below the edges does.
//
//	URL → Check → resolve → is the address public? → connect → request → answer, within limits
//
// Whoever may give the server an address must not reach with it what only the
// server can reach. So the address is judged when the connection is made, which
// holds for every redirect and for names that change their address. It starts no goroutine of its own, logs nothing, and never
// uses a proxy of the environment.
package fetch
