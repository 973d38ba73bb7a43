"""interim"""
import numpy as np, torch
from dataclasses import dataclass
from likewise.objective.boxes import iou_between, sized_to_corners
@dataclass
class Precision:
    map_50: float
    map: float
    by_name: dict
def ap(found, scores, labels, data, c, t):
    rows=[];n=0
    for b,s,l,g,gl in zip(found,scores,labels,data.boxes,data.labels):
        b,s,g=b[l==c],s[l==c],g[gl==c]; n+=len(g); free=np.ones(len(g),bool)
        v=iou_between(sized_to_corners(torch.as_tensor(b)),sized_to_corners(torch.as_tensor(g))).numpy() if len(b) and len(g) else np.zeros((len(b),len(g)))
        for j in range(len(b)):
            r=np.where(free,v[j],-1); hit=False
            if len(r) and r.max()>=t: hit=True; free[r.argmax()]=False
            rows.append((s[j],hit))
    if not n: return None
    if not rows: return 0.0
    rows.sort(key=lambda r:-r[0]); h=np.array([r[1] for r in rows]); tp=h.cumsum(); p=tp/np.arange(1,len(h)+1); r=tp/n
    p=np.maximum.accumulate(p[::-1])[::-1]
    return float(np.mean([p[r>=q].max() if (r>=q).any() else 0 for q in np.linspace(0,1,101)]))
def mean_average_precision(found, scores, labels, data):
    by={};
    for c,name in enumerate(data.names):
        a=[ap(found,scores,labels,data,c,t) for t in np.arange(.5,.96,.05)]
        if a[0] is not None: by[name]={"map_50":a[0],"map":float(np.mean(a))}
    return Precision(float(np.mean([v["map_50"] for v in by.values()])),float(np.mean([v["map"] for v in by.values()])),by)
