// Package webhook tells receivers of events.
//
//	events → fan out: one delivery a subscription and notification URL → due? → body, signature → POST → delivered | tried again later | given up
//
// Events are rows that the store wrote in the transaction of what they tell of.
// Fanning them out into deliveries, and how each delivery goes, are rows too: what
// a crash leaves is taken up by the next start. So a receiver gets every event at
// least once, and by its id knows one that comes again. Deliveries of one call to
// one address are made one after the other, in the order of the events.
//
// The server builds it, runs it, and gives it the shape of a body, which is that
// of the API. It knows nothing of HTTP servers, and reaches others through fetch
// only. Run owns all goroutines: one that looks, and one for each request that is
// under way.
package webhook
