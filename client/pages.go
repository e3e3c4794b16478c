package client

import "iter"

// pages goes through a list that comes in pages.
func pages[T any](token string, read func(token string) ([]T, string, error)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for at := token; ; {
			list, next, err := read(at)
			if err != nil {
				var none T
				yield(none, err)
				return
			}
			for i := range list {
				if !yield(list[i], nil) {
					return
				}
			}
			if next == "" {
				return
			}
			at = next
		}
	}
}

// Collect gathers what an iterator gives, limit at most; 0 is all. What came
// before an error is returned with it.
func Collect[T any](seq iter.Seq2[T, error], limit int) ([]T, error) {
	list := []T{}
	for item, err := range seq {
		if err != nil {
			return list, err
		}
		if list = append(list, item); len(list) == limit {
			break
		}
	}
	return list, nil
}
