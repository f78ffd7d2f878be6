package outbox

import "bytes"

// budget divides what this process has of something, such as bytes of memory, among the lanes. A half is
// divided equally, and no lane can use the share of another: a receiver that hangs for the whole timeout
// takes nothing from the others that they need to go on. The other half is for the lanes that have used
// up their own share.
type budget struct {
	total int64 // 0: no limit
}

// own is the share of each of n lanes.
func (b budget) own(n int) int64 { return max(b.total/2/int64(n), 1) }

// most is what one of n lanes can hold while the others hold nothing beyond their own shares.
func (b budget) most(n int) int64 { return max(b.total-b.own(n)*int64(n-1), b.own(n)) }

// left returns how much more each lane may hold, given what each of them holds now; 0 or less: nothing.
// All of them may use it at the same time.
func (b budget) left(held []int64) []int64 {
	own := b.own(len(held))
	common, sharing := b.total-own*int64(len(held)), int64(0)
	for _, h := range held {
		if h >= own {
			common -= h - own
			sharing++
		}
	}
	left := make([]int64, len(held))
	for i, h := range held {
		if left[i] = own - h; h >= own {
			left[i] = common / sharing
		}
	}
	return left
}

// Shares divides a total among several dispatchers, given what each of them holds now (see
// Dispatcher.Held), by the rule by which one divides it among its lanes: how much each may hold now.
func Shares(total int64, held []int64) []int64 {
	shares := budget{total}.left(held)
	for i, h := range held {
		shares[i] = max(h+shares[i], 1)
	}
	return shares
}

// setMemory limits what the events in flight may hold; 0: no limit.
func (q *queue) setMemory(total int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.memory.total = total
}

// What an event takes of the memory: while it is claimed and rendered, its data, the database driver's
// copy of them, and the envelope; from then on the envelope alone.
const claimedCopies = 3

// rendered notes that the data of an event have been replaced by its envelope, and drops them. It returns
// the envelope, which was rendered into as many bytes as the data have, in memory of its own size.
func (q *queue) rendered(c *claimedEvent, body []byte) []byte {
	if cap(body)-len(body) > max(len(body)/4, 64<<10) {
		body = bytes.Clone(body)
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	c.event.Data = nil
	if l := q.lane(c.event.Channel); l != nil {
		l.slots.bytes += int64(cap(body)) - c.event.held
		c.event.held = int64(cap(body))
	}
	return body
}

// bytesLeft is how many bytes of data each lane may claim; 0: no limit, below 0: none.
func (q *queue) bytesLeft() []int64 {
	held := make([]int64, len(q.lanes))
	if q.memory.total == 0 {
		return held
	}
	for i := range q.lanes {
		held[i] = q.lanes[i].slots.bytes
	}
	left := q.memory.left(held)
	for i := range left {
		if left[i] <= 0 {
			left[i] = -1
		} else {
			left[i] = (left[i] + claimedCopies - 1) / claimedCopies
		}
	}
	return left
}

// limitRows lets each lane claim no more rows than this process has files and memory for. A claim applies
// max_in_flight less what is in use, so what may not be claimed is treated as in use. To know the size of
// a row that may be compressed the database reads all of it, so a claim should not consider many more
// rows than fit.
func (q *queue) limitRows(all []Capacity) {
	rows := make([]int64, len(q.lanes))
	if q.posts.total > 0 {
		for i := range q.lanes {
			rows[i] = int64(q.lanes[i].slots.held())
		}
		rows = q.posts.left(rows)
	}
	for i := range q.lanes {
		s, bytes := &q.lanes[i].slots, all[i].ByteBudget
		if q.posts.total == 0 {
			rows[i] = int64(s.limit)
		}
		switch {
		case bytes < 0:
			rows[i] = 0
		case bytes > 0:
			rows[i] = min(rows[i], bytes/max(s.size, 1)+1)
		}
		all[i].Occupied = max(all[i].Occupied, s.limit-int(max(rows[i], 0)))
	}
}
