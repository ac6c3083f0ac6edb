"""What of PyTorch is left out: one table of names, why, and what to use instead.

It answers whoever asks for such a name of tinygen, of nn or of F, and makes the list in
docs/pytorch.md. A name that is in no table is looked for among those that there are.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from fnmatch import fnmatchcase

__all__ = ["GROUPS", "LEFT_OUT", "find", "missing"]

# (names, why they are left out, what to use instead). A name stands without `torch.`, `nn.`, `F.`,
# `linalg.`, `optim.`...: it is one thing wherever it is asked for. A * stands for anything.
GROUPS: tuple[tuple[str, str, str], ...] = (
    (
        "sparse* to_sparse* hspmm spmm sspaddmm smm hsmm saddmm dsmm SparseAdam",
        "tensors are dense",
        "a dense tensor with index_select, scatter_add or F.embedding",
    ),
    (
        "complex* cfloat cdouble chalf view_as_real view_as_complex* polar angle real imag conj* "
        "is_complex isreal resolve_conj resolve_neg eig eigvals fft stft istft *_window H mH "
        "adjoint",
        "there are no complex numbers",
        "two real tensors; eigh for a symmetric matrix",
    ),
    (
        "quantiz* q_* qint* quint* qscheme dequantize fake_quant* fbgemm* int_repr empty_quantized "
        "choose_qparams* fused_moving_avg* intrinsic quantizable qat ao",
        "no quantised inference",
        "float16, or float tensors that were rounded",
    ),
    (
        "bfloat16 float8* float4* bit bits* int1 int2 int3 int4 int5 int6 int7 uint1 uint2 uint3 "
        "uint4 uint5 uint6 uint7 uint16 uint32 uint64",
        "dtypes are those that NumPy and CuPy both compute in",
        "float32 or float16; int64, int32, uint8",
    ),
    (
        "autocast* GradScaler amp *_autocast_* is_autocast_enabled clear_autocast_cache",
        "no automatic mixed precision",
        "model.half(), or .to(dtype) where it is wanted",
    ),
    (
        "jit compile compiler export fx vmap func *Type *Logger Future Code Block Script* "
        "*_scripting cond fork wait _dynamo "
        "parse_* sym_* Sym* Graph* library overrides torch_function",
        "what runs is the NumPy program as it is written: nothing is traced or compiled",
        "the function itself; write a batch dimension out",
    ),
    (
        "distributed DataParallel parallel DistributedSampler SyncBatchNorm multiprocessing "
        "share_memory_ is_shared get_worker_info is_distributed",
        "one process, one GPU",
        "larger batches, or gradients summed over several backward()s",
    ),
    (
        "mps xpu mtia xla ipu mkldnn* miopen* cudnn* backends hub package has_* "
        "is_vulkan_available accelerator cpp memory_format contiguous_format channels_last "
        "preserve_format",
        "two devices, cpu and cuda; images lie channels-last by themselves",
        'x.to("cpu"), x.to("cuda")',
    ),
    (
        "?*Tensor set_default_tensor_type legacy_*",
        "types of tensors are dtypes",
        "tensor(data, dtype=...), isinstance(x, tg.Tensor) and x.dtype",
    ),
    (
        "*Storage storage untyped_storage storage_offset set_ as_strided* data_ptr resize_ "
        "resize_as_ is_set_to empty_strided empty_permuted unsafe_*",
        "memory is NumPy's",
        "reshape, expand, x.numpy() and its strides",
    ),
    (
        "alias_copy detach_copy expand_copy permute_copy select_copy slice_copy split_copy "
        "split_with_sizes_copy squeeze_copy t_copy transpose_copy unbind_copy unfold_copy "
        "unsqueeze_copy values_copy view_copy indices_copy *_indices_copy diagonal_copy "
        "as_strided_copy slice_scatter select_scatter diagonal_scatter slice_inverse narrow_copy",
        "these serve functionalisation, which there is no need of",
        "the function without _copy, and .clone(); x = x.clone(); x[...] = y",
    ),
    (
        "native_* *_backward_* batch_norm_* norm_except_dim grid_sampler* affine_grid_generator "
        "convolution constant_pad_nd max_pool1d_with_indices rnn_tanh* rnn_relu* gru_cell "
        "lstm_cell embedding_renorm_ fractional_max_pool* multi_head_attention_forward",
        "PyTorch's own inner functions",
        "the layer in nn, or the function in nn.functional",
    ),
    (
        "Conv3d ConvTranspose3d conv3d conv_transpose3d conv_tbc *Pool3d *_pool3d "
        "*_pool3d_with_indices BatchNorm3d InstanceNorm3d Dropout3d dropout3d *Pad3d MaxUnpool3d "
        "max_unpool3d",
        "no system here works on volumes",
        "2-D layers on the frames, folded into the batch",
    ),
    (
        "MaxUnpool* max_unpool* LPPool* lp_pool* FractionalMaxPool* LocalResponseNorm "
        "local_response_norm CrossMapLRN2d",
        "layers that generative models do not use",
        "Upsample or ConvTranspose2d; GroupNorm",
    ),
    (
        "Lazy* Uninitialized* lazy",
        "a layer's sizes are written where it is made",
        "the layer with its in_features, in_channels, ...",
    ),
    (
        "CTCLoss ctc_loss AdaptiveLogSoftmaxWithLoss EmbeddingBag embedding_bag "
        "MultiLabelMarginLoss multilabel_margin_loss "
        "MultiLabelSoftMarginLoss multilabel_soft_margin_loss linear_cross_entropy "
        "LinearCrossEntropy*",
        "losses of recognition, which no generative model has",
        "cross_entropy, binary_cross_entropy_with_logits",
    ),
    (
        "alpha_dropout* AlphaDropout feature_alpha_dropout* FeatureAlphaDropout feature_dropout* "
        "RReLU rrelu*",
        "random layers that the systems here do not use",
        "dropout, dropout2d, leaky_relu",
    ),
    (
        "LBFGS ASGD Adadelta Adafactor Adamax NAdam RAdam Rprop",
        "six optimizers are written out to be read; these are their variants",
        "SGD, Adagrad, RMSprop, Adam or AdamW",
    ),
    (
        "lobpcg geqrf orgqr ormqr householder_product ldl_* cholesky_solve cholesky_inverse "
        "*_ex lstsq pinv pinverse matrix_rank matrix_exp tensorinv tensorsolve vander",
        "what no generative model needs of linear algebra",
        "solve, cholesky, solve_triangular, qr, svd or eigh",
    ),
    (
        "igamma* mvlgamma* i0* nextafter frexp special gcd* lcm* heaviside* renorm*",
        "special functions that no density here has",
        "lgamma, digamma, erf, erfinv",
    ),
    (
        "scatter_reduce* unique_consecutive hsplit vsplit dsplit argwhere isin",
        "two lines of what is there",
        "index_add or scatter; unique; tensor_split; nonzero; (a[..., None] == b).any(-1)",
    ),
    (
        "hist* bincount_* mode nanmedian nanquantile cov corrcoef trapezoid trapz "
        "cumulative_trapezoid",
        "statistics of results, not of models",
        "NumPy's, on x.detach().numpy()",
    ),
    (
        "set_printoptions set_flush_denormal *num_interop_threads *deterministic* "
        "*float32_matmul_precision set_warn_always is_warn_always_enabled *default_device* "
        "get_device* utils.tensorboard profiler",
        "there is no such switch",
        "np.set_printoptions, device= where a tensor is made; runs repeat bit for bit",
    ),
    (
        "apply_ map_ map2_ pin_memory is_pinned record_stream Stream Event from_file frombuffer "
        "typename is_storage names refine_names rename* align_*",
        "of use only inside of PyTorch, or of its named tensors",
        "x.numpy()",
    ),
    (
        "Binomial NegativeBinomial Cauchy HalfCauchy HalfNormal Chi2 ContinuousBernoulli "
        "FisherSnedecor StudentT Geometric GeneralizedPareto Gumbel InverseGamma Kumaraswamy "
        "LKJCholesky LogNormal LogisticNormal LowRankMultivariateNormal Multinomial Pareto Poisson "
        "Relaxed* VonMises Weibull Wishart OneHotCategorical* Exponential ExponentialFamily",
        "distributions that no model here is made of",
        "TransformedDistribution of Normal or Uniform; F.gumbel_softmax; Gamma(1, rate)",
    ),
    (
        "IterableDataset ChainDataset StackDataset *DataPipe DataChunk functional_datapipe",
        "the loader knows its data set's length: so its position can be saved",
        "a Dataset with len() and [index]",
    ),
    (
        "greater* less less_* not_equal* moveaxis swapdims* row_stack range chain_matmul msort "
        "deg2rad* rad2deg* symeig positive sgn* triangular_solve matrix_power vecdot vdot",
        "second names, and names for two words",
        "gt, ge, lt, le, ne, movedim, transpose, vstack, arange, linalg.multi_dot, sign, x @ x",
    ),
    (
        "squeeze_ unsqueeze_ transpose_ t_ swapaxes_ detach_ eq_ ne_ lt_ le_ gt_ ge_ bitwise_*_ "
        "logical_*_ cumsum_ cumprod_ put_",
        "a tensor keeps its shape and its history; in place goes what a training loop changes",
        "x = x.squeeze(), x = x.detach(), x.copy_(x < y), x[index] = y",
    ),
    (
        "is_conj is_inference* is_ipu is_maia is_meta is_mkldnn is_mps is_mtia is_neg is_nested "
        "is_quantized is_sparse* is_vulkan is_xla is_xpu is_coalesced layout",
        "what a tensor here never is",
        "x.is_cuda, x.dtype, x.is_contiguous()",
    ),
    (
        "LSTMCell GRUCell RNNCell* RNNBase Transformer gru lstm",
        "the layer for whole sequences is here",
        "nn.LSTM, nn.GRU, nn.RNN on one step; TransformerEncoder and TransformerDecoder",
    ),
    (
        "ParameterDict BufferDict Buffer Container Softmax2d UpsamplingBilinear2d "
        "UpsamplingNearest2d NLLLoss2d upsample upsample_* CosineSimilarity InstanceNorm1d *Pad1d "
        "ConstantPad2d Dropout1d dropout1d TripletMarginWithDistanceLoss "
        "triplet_margin_with_distance_loss Bilinear bilinear pdist",
        "layers for what is one line",
        "F.pad, F.interpolate, F.cosine_similarity, register_buffer, ModuleDict, einsum, cdist",
    ),
    (
        "ChainedScheduler MultiplicativeLR PolynomialLR swa_utils swap_in_*",
        "schedules for what is one line",
        "LambdaLR, SequentialLR; optim.EMA for averaged weights",
    ),
    (
        "AbsTransform CatTransform Corr*Transform Cumulative*Transform IndependentTransform "
        "LowerCholeskyTransform PositiveDefiniteTransform PowerTransform ReshapeTransform "
        "SoftmaxTransform StackTransform StickBreakingTransform biject_to identity_transform "
        "transform_to",
        "changes of variables that no flow here makes",
        "a subclass of Transform with _call, _inverse and log_abs_det_jacobian",
    ),
)

LEFT_OUT = {name: (why, instead) for names, why, instead in GROUPS for name in names.split()}


def find(name: str) -> tuple[str, str] | None:
    """(why, what instead) of a name that is left out, else None.

    >>> from tinygen.names import find
    >>> find("Conv3d")
    ('no system here works on volumes', '2-D layers on the frames, folded into the batch')
    """
    found = LEFT_OUT.get(name)
    if found is None:
        found = next((row for key, row in LEFT_OUT.items() if fnmatchcase(name, key)), None)
    return found


def missing(module: str, name: str, there: Iterable[str]) -> AttributeError:
    """The error for `module.name`, which there is not: why and what instead, or what is close.

    >>> from tinygen.names import missing
    >>> missing("tinygen", "softmxa", ["softmax", "tanh"])
    AttributeError("tinygen has no 'softmxa'; did you mean 'softmax'?")
    """
    says = f"{module} has no {name!r}"
    if name.startswith("__"):  # Python's own questions
        return AttributeError(says)
    close = difflib.get_close_matches(name, there, n=1, cutoff=0.7)
    if row := find(name):
        says += f": {row[0]}; use {row[1]} instead"
    elif close:
        says += f"; did you mean {close[0]!r}?"
    else:
        says += "; docs/pytorch.md lists what is left out"
    # name= and obj=: else Python adds a guess of its own.
    return AttributeError(says, name=name, obj=None)
