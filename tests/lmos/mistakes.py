"""Code as users write it, right and wrong: what stands in a file of their own."""

from __future__ import annotations

HEAD = """import sys
import numpy as np
import pyomo.environ as pyo
from lmos_opt import Objective

class Awkward(Exception):
    def __str__(self):
        raise RuntimeError("no words")

def f(m, inst):
    return f(m, inst)

"""
"""What begins each file."""

BODIES = [
    "return sum(m.edge[v] for v in m.layers)", "return m.edge['a'] == 1", "return None", "return 1", "return 'm.edge'",
    "return m.edge", "return m.edge['z']", "return m.nothing", "return m.edge['a'] * m.edge['b']",
    "return m.edge['a'] ** 0.5", "return float('nan') * m.edge['a']", "return m.edge['a'] / 0",
    "return 1 / m.edge['a']", "return [m.edge['a'] <= 1, 3]", "return m.edge['a'] < 1", "return 0 <= m.edge['a'] <= 1",
    "return m.edge['a'] and m.edge['b']", "return not m.edge['a']",
    "return m.edge['a'] >= m.edge['b'] if m.edge['a'] else 1", "raise ValueError",
    "raise ValueError('\\n\\nfirst\\nsecond')", "raise SystemExit(7)", "raise Awkward('x')", "raise KeyError(('a', 1))",
    "import sys; sys.exit('bye')", "return f(m, inst)", "m.del_component('edge'); return 1",
    "m.edge = pyo.Var(); return m.edge", "m.x = pyo.Var(); return m.x",
    "m.x = pyo.Var(domain=pyo.Integers); return m.x >= m.edge['a']",
    "m.p = pyo.Param(mutable=True); return m.p * m.edge['a']", "m.x = pyo.Var(bounds=(3, 1)); return m.x + m.edge['a']",
    "m.edge['a'].fix(5); return m.edge['a'] + m.edge['b']",
    "m.o = pyo.Objective(expr=m.edge['a']); return m.edge['b'] + m.edge['a']",
    "m.edge['a'].setlb(2); return m.edge['a'] <= 3", "m.c = pyo.Constraint(expr=m.edge['a'] * m.edge['b'] >= 0)",
    "m.c = pyo.Constraint(m.layers, rule=lambda m, v: None)",
    "m.b = pyo.Block(); m.b.x = pyo.Var(m.layers, domain=pyo.Binary)",
    "return {'half': pyo.Var(m.layers, domain=pyo.Binary)}", "return {'a b': pyo.Var()}", "return {'edge': pyo.Var()}",
    "return {1: 2}", "return {'x': pyo.Var(domain=pyo.Any)}",
    "return {'x': pyo.Var(domain=pyo.Set(initialize=[1, 5]))}", "m.s = pyo.SOSConstraint(var=m.edge, sos=1)",
    "m.l = pyo.LogicalConstraint(expr=pyo.atleast(1, *[]))", "from pyomo.gdp import Disjunct; m.d = Disjunct()",
    "return pyo.Expression(expr=m.edge['a'])", "return (x for x in m.edge)", "yield m.edge['a'] <= 1",
    "return lambda: 1", "return inst.layer('zz').t_edge_s * m.edge['a']",
    "return inst.layer('a').extra['price'] * m.edge['a']", "return 1j * m.edge['a']", "return pyo.log(m.edge['a'])",
    "return pyo.Constraint.Infeasible", "return pyo.inequality(1, m.edge['a'], 0)", "return 1e400 * m.edge['a']",
    "return 10**400 * m.edge['a']", "return m.edge['a'] == 10**400", "return np.array([1.0, 2.0])",
    "return np.float32(2) * m.edge['a'] >= np.int8(1)", "m.solutions = 3; return m.edge['a'] <= 1",
    "m.clear(); return 1", "for v in list(m.component_map()): m.del_component(v)\n    return 0",
    "return max(m.edge[v] for v in m.layers)", "return min(m.edge['a'], 1)", "return abs(m.edge['a'])",
    "return pyo.Expr_if(m.edge['a'] >= 1, 1, 0)", "return m.edge['a'] != 1", "m.edge['a'].deactivate()",
    "m.user.clear(); return m.edge['a'] <= 1", "return 1e-320 * m.edge['a']", "return 1e300 * m.edge['a']",
]  # fmt: skip
"""Of a function of an objective, a constraint or variables."""

WHOLE = [
    "", "x = ", "\tx = 1\n  y", "raise RuntimeError('no')", "raise SystemExit", "import sys; sys.exit(0)",
    "import nobody_has_this", "from lmos_opt import Nothing", "x = 1\x00", "x = 'é'",
    "def __getattr__(name): raise RuntimeError(name)", "import mine", "x = property(lambda self: 1)", "raise Awkward",
    "import this_is_not_there.at_all", "1 / 0", "class x:\n    pass", "x = Objective('x', 's', 'min', 3)",
    "x = Objective('x', 's', 'least', lambda m, i: m.offload)", "x = Objective()",
    "x = Objective('', '', 'max', lambda m, i: m.offload)",
    "x = Objective('latency', 's', 'min', lambda m, i: m.offload)", "x = Objective('a\\nb', 's', 'min', lambda: 1)",
    "x = Objective(3, 4, 'min', lambda m, i: m.offload)", "x = lambda: 1",
    "x = Objective('x', 's', 'min', lambda m, i: m.offload, value=lambda s: None)", "x = lambda m, i, j: 1",
    "x = print", "x = Objective('x', 's', 'min', lambda m, i: m.offload, value=lambda s: 1 / 0)",
    "x = type('F', (), {'__call__': f})()",
    "x = Objective('x', 's', 'min', lambda m, i: m.offload, value=lambda s: float('nan'))", "x = int",
    "x = Objective('x', 's', 'min', lambda m, i: m.offload, value=lambda s: 3.5)", "x = Objective",
    "x = Objective('x', 's', 'min', lambda m, i: m.offload, value=lambda s: sys.exit(4))",
    "x = Objective('x', 's', 'min', lambda m, i: m.offload, granule=lambda i: 0)",
    "x = Objective('x', 's', 'min', lambda m, i: m.offload, granule=lambda i: 'a')",
    "x = Objective('x', 's', 'min', lambda m, i: m.offload, granule=lambda i: sys.exit(4))",
    "x = Objective('x', 's', 'min', lambda m, i: m.offload, granule=lambda i: 1e300)",
    "x = Objective('x', 's', 'min', lambda m, i: m.offload, granule=lambda i: 5e-324)",
]  # fmt: skip
"""Files."""

NETWORKS = [
    "return x", "return None", "return 3", "return 'x'", "return [x, {'a': x}]", "return x.tolist()",
    "return x.numpy()", "raise ValueError", "raise Awkward('x')", "raise SystemExit(3)", "import sys; sys.exit()",
    "return self.forward(x)", "return (x for _ in x)", "return self.lin(x)", "return x @ x.flatten()",
    "return x if x.sum() > 0 else -x", "return x[:, :int(x.sum())]", "return torch.randn(3)", "return x.nonzero()",
    "return torch.unique(x)", "return x.to_sparse()", "return x.to('meta')", "return x.cuda()", "return x.half()",
    "return x.to(torch.complex64)", "return torch.empty(0)", "return x.expand(10**6, 10**6, 8, 8)",
    "return x.reshape(7)", "assert False", "return torch.nested.nested_tensor([x[0], x[0]])",
    "self.k = getattr(self, 'k', 0) + 1; return x * self.k", "return self.w.add_(x.mean())", "return {x: 1}",
    "return {1: x, 'a.b': x, None: x}", "return object()", "return lambda: x", "return self", "return self.lin",
    "yield x", "x[:] = float('nan'); return x", "return x / 0", "return torch.zeros(10**14)", "del self.lin; return x",
    "self.new = torch.nn.ReLU(); return x", "return torch.stack([x] * int(x.numel() // 64))", "return x.data_ptr() * x",
    "return torch.linalg.inv(x)", "return x.requires_grad_().sum().backward()", "print('hello'); return x",
    "return x.sum().item()", "return torch.func.vmap(lambda t: t * 2)(x)", "return -x[..., ::2].conj()",
]  # fmt: skip
"""Of a network's forward."""

MAKERS = [
    "def x(): return None", "def x(): raise RuntimeError('no\\nyes')", "def x(): raise SystemExit(9)",
    "def x(): raise Awkward('x')", "def x(a): return a", "x = 3", "def x(): return torch.nn.Module()",
    "def x(): return torch.nn.Linear", "x = torch.nn.Flatten", "def x(): return torch.nn.LazyLinear(3)",
    "def x(): return torch.nn.Linear(192, 3).to('meta')", "def x(): return torch.nn.Sequential()",
    "x = torch.nn.Linear", "class x(torch.nn.Module):\n    def __init__(self): self.a = 1",
    "class x(torch.nn.Module):\n    def train(self, mode=True): raise SystemExit(5)",
    "class x(torch.nn.ReLU):\n    def extra_repr(self): raise RuntimeError('none')",
    "class x(torch.nn.ReLU):\n    def named_parameters(self, **k): return 3",
    "class x(torch.nn.ReLU):\n    def extra_repr(self): return '\\ud800'",
    "class x(torch.nn.ReLU):\n    def __call__(self, *a): return 3",
    "class x(torch.nn.ReLU):\n    def __getattr__(self, name): raise RuntimeError(name)",
    "def x(): return torch.nn.Linear(10**9, 10**6)", "def x(): return f(1, 2)",
    "def x(): return torch.compile(torch.nn.ReLU())", "def x(): return torch.nn.DataParallel(torch.nn.ReLU())",
    "x = type('x', (torch.nn.ReLU,), {})", "def x():\n    m = torch.nn.ReLU(); m.add_module('m', m); return m",
    "def x():\n    m = torch.nn.ReLU(); m.register_forward_hook(lambda *a: 1 / 0); return m",
    "def x():\n    m = torch.nn.ReLU(); m.register_buffer('b', torch.ones(3).to_sparse()); return m",
    "def x(): return torch.nn.Embedding(3, 4)",
    "def x():\n    m = torch.nn.Linear(8, 8); m.weight = torch.nn.Parameter(m.weight.to(torch.float8_e4m3fn)); return m",
    "x = torch.nn.GRU(8, 8).__class__",
    "def x():\n    torch.set_default_dtype(torch.float64); return torch.nn.Linear(8, 8)",
    "def x(): return torch.nn.Identity()",
]  # fmt: skip
"""Of what makes the network."""

MODULE = """import torch

class x(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.lin = torch.nn.Linear(8, 4)
        self.register_buffer("w", torch.ones(1))

    def forward(self, x):
        {}
"""
