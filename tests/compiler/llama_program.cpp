// A small llama's loss as a program: tied embedding, grouped-query attention over documents, rotary
// positions, SwiGLU, cross-entropy.
#include "dialects/graph/graph.h"
#include "tests/compiler/op_programs.h"

using namespace mlir;
namespace weft::testing {
namespace {

// Makes graph ops with inferred types, in f64.
struct Maker {
  OpBuilder &b;
  Location loc = b.getUnknownLoc();
  using Shape = ArrayRef<int64_t>;

  RankedTensorType real(Shape s) { return RankedTensorType::get(s, b.getF64Type()); }
  RankedTensorType whole(Shape s) { return RankedTensorType::get(s, b.getI32Type()); }
  template <class Op, class... Args> mlir::Value make(Args &&...args) {
    return b.create<Op>(loc, args...)->getResult(0);
  }
  mlir::Value like(mlir::Value x, double v) { return graph::splat(b, loc, graph::tensorType(x), v); }
  mlir::Value add(mlir::Value x, mlir::Value y) { return make<graph::AddOp>(x, y); }
  mlir::Value sub(mlir::Value x, mlir::Value y) { return make<graph::SubOp>(x, y); }
  mlir::Value mul(mlir::Value x, mlir::Value y) { return make<graph::MulOp>(x, y); }
  mlir::Value spread(mlir::Value x, Shape dims, Shape shape) {
    return graph::broadcastTo(b, loc, x, dims, shape);
  }
  // x (…, K) times w (N, K) transposed
  mlir::Value linear(mlir::Value x, mlir::Value w) {
    return make<graph::MatmulOp>(x, w, mlir::Value(), false, true);
  }

  mlir::Value rmsNorm(mlir::Value x, mlir::Value w) {
    auto shape = graph::shapeOf(x); // (batch, seq, dim)
    mlir::Value sum = graph::sum(b, loc, mul(x, x), {2});
    mlir::Value mean = mul(sum, like(sum, 1.0 / shape[2]));
    mlir::Value scale = make<graph::RsqrtOp>(add(mean, like(mean, 1e-5)));
    return mul(mul(x, spread(scale, {0, 1}, shape)), spread(w, {2}, shape));
  }
  // x (batch, seq, heads, width), cos and sin (seq, width): halves, as transformers rotates them
  mlir::Value rotate(mlir::Value x, mlir::Value cos, mlir::Value sin) {
    auto s = graph::shapeOf(x);
    int64_t half = s[3] / 2;
    SmallVector<int64_t> sizes{s[0], s[1], s[2], half};
    mlir::Value left = make<graph::SliceOp>(x, SmallVector<int64_t>{0, 0, 0, 0}, sizes);
    mlir::Value right = make<graph::SliceOp>(x, SmallVector<int64_t>{0, 0, 0, half}, sizes);
    mlir::Value turned = make<graph::ConcatOp>(ValueRange{make<graph::NegOp>(right), left}, int64_t(3));
    return add(mul(x, spread(cos, {1, 3}, s)), mul(turned, spread(sin, {1, 3}, s)));
  }
};

} // namespace

Program llamaProgram(const LlamaSizes &z) {
  int64_t B = z.batch, T = z.seq, D = z.dim, H = z.heads, G = z.kvHeads, W = D / H, F = z.ffn, V = z.vocab,
          L = z.layers;
  MLIRContext context;
  context.loadDialect<graph::GraphDialect, func::FuncDialect>();
  OwningOpRef<ModuleOp> module = ModuleOp::create(UnknownLoc::get(&context));
  OpBuilder b(&context);
  Maker m{b};

  std::vector<SmallVector<int64_t>> weights = {{D}, {H * W, D}, {G * W, D}, {G * W, D}, {D, H * W},
                                               {D}, {F, D},     {F, D},     {D, F}};
  SmallVector<Type> layerTypes{m.real({B, T, D})}, types{m.real({V, D})};
  for (auto &w : weights) {
    layerTypes.push_back(m.real(w));
    SmallVector<int64_t> stacked{L};
    stacked.append(w);
    types.push_back(m.real(stacked));
  }
  layerTypes.append({m.real({T, W}), m.real({T, W}), m.whole({B, T}), m.whole({B, T})});
  types.append({m.real({D}), m.whole({B, T}), m.whole({B, T}), m.whole({B, T}), m.whole({B, T})});

  b.setInsertionPointToEnd(module->getBody());
  auto layer = b.create<func::FuncOp>(m.loc, "layer", b.getFunctionType(layerTypes, {layerTypes[0]}));
  layer.setPrivate();
  {
    OpBuilder::InsertionGuard guard(b);
    Block *block = layer.addEntryBlock();
    b.setInsertionPointToEnd(block);
    auto a = block->getArguments();
    mlir::Value x = a[0], h = m.rmsNorm(x, a[1]);
    auto heads = [&](mlir::Value v, int64_t n) { return graph::reshape(b, m.loc, v, {B, T, n, W}); };
    mlir::Value q = m.rotate(heads(m.linear(h, a[2]), H), a[10], a[11]),
                k = m.rotate(heads(m.linear(h, a[3]), G), a[10], a[11]);
    SmallVector<mlir::Value> in{q, k, heads(m.linear(h, a[4]), G), a[12], a[13]};
    auto attention = b.create<graph::AttentionOp>(m.loc, in[0], in[1], in[2], in[3], in[4],
                                                  APFloat(1 / std::sqrt(double(W))), 64);
    x = m.add(x, m.linear(graph::reshape(b, m.loc, attention.getOut(), {B, T, H * W}), a[5]));
    h = m.rmsNorm(x, a[6]);
    mlir::Value gate = m.linear(h, a[7]), up = m.linear(h, a[8]);
    mlir::Value act = m.mul(m.mul(gate, m.make<graph::SigmoidOp>(gate)), up);
    b.create<func::ReturnOp>(m.loc, m.add(x, m.linear(act, a[9])));
  }

  auto f = b.create<func::FuncOp>(m.loc, "f", b.getFunctionType(types, {m.real({})}));
  Block *block = f.addEntryBlock();
  b.setInsertionPointToEnd(block);
  auto a = block->getArguments();
  mlir::Value table = a[0], norm = a[10], tokens = a[11], targets = a[12], begin = a[13], end = a[14];
  mlir::Value number = m.make<graph::IotaOp>(m.real({T, W / 2}), int64_t(1)),
              position = m.make<graph::IotaOp>(m.real({T, W / 2}), int64_t(0));
  mlir::Value angle = m.mul(position, m.make<graph::ExpOp>(m.mul(number, m.like(number, -0.7))));
  auto twice = [&](mlir::Value v) { return m.make<graph::ConcatOp>(ValueRange{v, v}, int64_t(1)); };
  mlir::Value cos = twice(m.make<graph::CosOp>(angle)), sin = twice(m.make<graph::SinOp>(angle));
  mlir::Value x = m.make<graph::GatherOp>(table, tokens);
  SmallVector<mlir::Value> stacked(a.begin() + 1, a.begin() + 10);
  x = b.create<graph::RepeatOp>(m.loc, TypeRange{x.getType()}, "layer", ValueRange{x}, stacked,
                                ValueRange{cos, sin, begin, end}, 0, L, ArrayRef<int64_t>{}, false, false, 0,
                                1)
          .getResult(0);
  mlir::Value logits = m.linear(m.rmsNorm(x, norm), table);
  SmallVector<int64_t> all{B, T, V};
  mlir::Value top =
      m.make<graph::ReduceOp>(graph::ReduceKind::max, logits, mlir::Value(), SmallVector<int64_t>{2});
  mlir::Value shifted = m.sub(logits, m.spread(m.make<graph::StopGradientOp>(top), {0, 1}, all));
  mlir::Value log = m.make<graph::LogOp>(graph::sum(b, m.loc, m.make<graph::ExpOp>(shifted), {2}));
  mlir::Value hit = m.make<graph::CompareOp>(
      graph::Predicate::eq, m.make<graph::IotaOp>(m.whole(all), int64_t(2)), m.spread(targets, {0, 1}, all));
  mlir::Value chosen = graph::sum(b, m.loc, m.make<graph::SelectOp>(hit, shifted, m.like(shifted, 0)), {2});
  mlir::Value nll = m.sub(log, chosen);
  mlir::Value valid = m.make<graph::CompareOp>(graph::Predicate::gt, targets,
                                               m.like(targets, 0)); // target 0 counts for nothing
  mlir::Value total = graph::sum(b, m.loc, m.make<graph::SelectOp>(valid, nll, m.like(nll, 0)), {0, 1});
  b.create<func::ReturnOp>(m.loc, m.mul(total, m.like(total, 1.0 / 16)));

  Program p{"llama", "", {}};
  llvm::raw_string_ostream(p.text) << *module->getBody()->begin() << "\n" << f << "\n";
  for (auto [i, type] : llvm::enumerate(types)) {
    auto t = cast<RankedTensorType>(type);
    bool isNorm = i == 1 || i == 6 || i == 10;
    if (isa<FloatType>(t.getElementType()))
      p.args.push_back(randomTensor(t.getShape(), 10 + i, isNorm ? 0.5 : -0.3, isNorm ? 1.5 : 0.3));
    else
      p.args.push_back(randomTensor(t.getShape(), 10 + i, 0, V, Element::i32));
  }
  // Documents of five tokens, causal within each.
  HostTensor &from = p.args[13], &to = p.args[14];
  for (int64_t i = 0; i < B * T; ++i) {
    from.values[i] = (i % T) / 5 * 5;
    to.values[i] = i % T + 1;
  }
  return p;
}

} // namespace weft::testing
