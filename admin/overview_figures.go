package admin

import (
	"net/http"
	"time"
)

// figures are what the script of the overview shows in place of what was loaded: texts and instants by the
// names that the elements have in data-figure and data-instant.
type figures struct {
	Version  string             `json:"version"`
	Texts    map[string]string  `json:"texts"`
	Instants map[string]instant `json:"instants"`
}

// instant is a <time>; one without At is hidden with what is around it.
type instant struct {
	At    string `json:"at"`
	Exact string `json:"exact"`
}

func (s *site) overviewFigures(w http.ResponseWriter, r *http.Request) error {
	o, err := s.store.Overview(r.Context())
	if err != nil {
		return err
	}
	return answerJSON(w, viewOf(o).figures())
}

func (v overviewView) figures() figures {
	f := figures{Version: v.Version, Texts: map[string]string{}, Instants: map[string]instant{"checked": instantOf(&v.At)}}
	for _, row := range v.Channels {
		for name, text := range map[string]string{"delivered": row.Delivered, "failed": row.Failed, "skipped": row.Skipped,
			"waiting": row.Waiting, "p50": row.Median, "p99": row.Slowest} {
			f.Texts[row.Name+"-"+name] = text
		}
		f.Instants[row.Name+"-oldest"] = instantOf(row.Oldest)
	}
	return f
}

func instantOf(t *time.Time) instant {
	if t == nil {
		return instant{}
	}
	return instant{At: t.UTC().Format(time.RFC3339Nano), Exact: exact(*t)}
}
