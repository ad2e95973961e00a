#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests")]
use super::*;
use std::fmt::Write as _;

/// Reads `bytes` as a table.
fn table(bytes: impl AsRef<[u8]>) -> Result<MeasuredTable, TraceError> {
    read_csv(Lines::new(Path::new("t.csv"), bytes.as_ref()))
}

/// The only row.
fn only(bytes: impl AsRef<[u8]>) -> Measured {
    let table = table(bytes).unwrap();
    let rows: Vec<_> = table.measured().collect();
    assert_eq!(rows.len(), 1, "{}", table.skipped);
    *rows[0].1
}

const ATTENTION: &str = "gpu,framework,version,kernel,kv_dtype,batch,heads,kv_heads,head_dim,context,kv_bytes,latency_us,bw_frac,regime,n_fw,best_us\n";

#[test]
fn attention_rows() {
    let text = format!(
        "{ATTENTION}a100_sxm,sglang,0.5.10,flash_attention,bfloat16,1,8,1,128,256,131072,21.368,0.003,launch,2,17.29\n"
    );
    let table = table(&text).unwrap();
    let expected = Measured {
        work: MeasuredWork::Attention { batch: 1, heads: 8, kv_heads: 1, head_dim: 128, context: 256 },
        gpu: 0,
        framework: 0,
        version: Some(0),
        kernel: 0,
        dtype: Dtype::Bf16,
        latency: Picos(21_368_000),
        regime: Some(Regime::Launch),
        line: 2,
    };
    assert_eq!(table.outcomes, [Outcome::Row(expected)]);
    assert_eq!((table.names.gpu(0), table.names.framework(0)), ("a100_sxm", "sglang"));
    assert_eq!((table.names.version(0), table.names.kernel(0)), ("0.5.10", "flash_attention"));
    assert!(table.skipped.is_empty() && table.remarks.is_empty());
}

#[test]
fn latent_rows_and_matrix_products() {
    let mla = "gpu,framework,version,kernel,kv_dtype,batch,heads,latent_dim,rope_dim,context,cache_bytes,latency_us\nb200_sxm,trtllm,1.3.0rc20,default,fp8,4,128,512,64,8192,0,10.469\n";
    let row = only(mla);
    let work = MeasuredWork::Latent { batch: 4, heads: 128, latent_dim: 512, rope_dim: 64, context: 8192 };
    assert_eq!((row.work, row.dtype, row.regime), (work, Dtype::Fp8, None));
    let gemm = "gpu,framework,kernel,dtype,m,n,k,latency_us\na100_sxm,vidur,x/y,bfloat16,8,2048,4096,18.365";
    let row = only(gemm);
    assert_eq!((row.work, row.version), (MeasuredWork::Gemm { m: 8, n: 2048, k: 4096 }, None));
}

#[test]
fn columns_in_any_order_beside_others() {
    let row = only(
        "note,latency_us, k ,n,m,dtype,kernel,framework,gpu\n\"a, b\",\"2.5\", 3 ,2.0,1,\"torch.float16\",x,VLLM,H100_SXM\n",
    );
    assert_eq!(row.work, MeasuredWork::Gemm { m: 1, n: 2, k: 3 });
    assert_eq!((row.latency, row.dtype), (Picos(2_500_000), Dtype::Fp16));
    // An element type that is computed in does not stand for the cache's.
    let row = only(
        "dtype,kv_dtype,gpu,framework,kernel,batch,heads,kv_heads,head_dim,context,latency_us\nbf16,fp8,g,f,k,1,2,1,64,5,9\n",
    );
    assert_eq!(row.dtype, Dtype::Fp8);
}

#[test]
fn latencies_in_every_unit() {
    for (unit, text, picos) in [
        ("us", "16.677", 16_677_000),
        ("us", "0.000001", 1),
        ("us", "3600000000", 3_600_000_000_000_000),
        ("ms", "0.016676799952983858", 16_676_800),
        ("ns", "1.5e3", 1_500_000),
        ("s", "2", 2_000_000_000_000),
    ] {
        let row = only(format!("gpu,framework,kernel,dtype,m,n,k,latency_{unit}\ng,f,k,bf16,1,2,3,{text}\n"));
        assert_eq!(row.latency, Picos(picos), "{text} {unit}");
    }
}

#[test]
fn text_stays_as_it_is() {
    let header = "gpu,framework,kernel,dtype,m,n,k,latency_us";
    let rows: [&[u8]; 5] =
        [b"G ,f,\"k\",bf16,1,2,3, 4", b"x", b"G,f,\xff,bf16,1,2,3,4", b" ,,,,,,,", b"g,f,k,bf16,1,2,3,4"];
    let mut bytes = b"\xef\xbb\xbf".to_vec();
    bytes.extend_from_slice(header.as_bytes());
    for row in rows {
        bytes.extend_from_slice(b"\r\n\r\n");
        bytes.extend_from_slice(row);
    }
    bytes.extend_from_slice(b"\r\n\r\n\r\n");
    let table = table(&bytes).unwrap();
    assert_eq!(table.header, header);
    let lines: Vec<_> = (0..table.outcomes.len()).map(|row| table.line(row)).collect();
    assert_eq!(lines, rows);
    let reasons = ["wrong number of columns", "not text", "name missing", "duplicate point"];
    assert_eq!(table.skipped.by_reason().collect::<Vec<_>>(), reasons.map(|r| (r, 1)));
    assert!(matches!(table.outcomes[0], Outcome::Row(Measured { line: 3, .. })));
    let lines: Vec<_> = table.skipped.diagnostics().map(|d| d.line).collect();
    assert_eq!(lines, [5, 7, 9, 11]);
}

#[test]
fn a_caller_leaves_rows_out_with_a_reason_of_its_own() {
    let mut text = "gpu,framework,kernel,dtype,m,n,k,latency_us\n".to_owned();
    for m in 1..=9 {
        writeln!(text, "\"tpu\",f,k,bf16,{m},2,3,{}", i32::from(m != 2)).unwrap();
    }
    let mut table = table(text).unwrap();
    let mut built = 0;
    for row in 0..9 {
        table.skip(row, Column::Gpu, "no preset for this gpu", || {
            built += 1;
            Complaint {
                message: "no accelerator preset for gpu 'tpu'".into(),
                expected: String::new(),
                help: Some("did you mean 'tpu-v4'?".into()),
            }
        });
    }
    assert_eq!(built, 5, "only what is shown is built");
    let reasons: Vec<_> = table.skipped.by_reason().collect();
    assert_eq!(reasons, [("zero or negative latency", 1), ("no preset for this gpu", 8)]);
    assert_eq!(table.measured().count(), 0);
    assert_eq!(table.skipped.total(), 9);
    let shown = table.skipped.to_string();
    let first = "t.csv:2:1: no accelerator preset for gpu 'tpu'\n  |\n2 | \"tpu\",f,k,bf16,1,2,3,1\n  | ^^^^^\n  = help: did you mean 'tpu-v4'?\n\n";
    assert!(shown.contains(first), "{shown}");
    assert!(shown.ends_with("\n\n… and 3 more rows: no preset for this gpu"), "{shown}");
    // A column that the file lacks is no place: the whole row is.
    let mut table = self::table("gpu,framework,kernel,dtype,m,n,k,latency_us\ng,f,k,bf16,1,2,3,4").unwrap();
    let complaint = Complaint { message: "m".into(), expected: "e".into(), help: None };
    table.skip(0, Column::Regime, "r", || complaint);
    assert_eq!(
        table.skipped.to_string(),
        "t.csv:2:1: m\n  |\n2 | g,f,k,bf16,1,2,3,4\n  | ^^^^^^^^^^^^^^^^^^ expected e"
    );
}

const AIC: &str = "framework,version,device,op_name,kernel_source,batch_size,isl,num_heads,num_key_value_heads,head_dim,beam_width,attn_dtype,kv_cache_dtype,step,latency\n";

#[test]
fn rows_of_aiconfigurator() {
    // The first row of the MHA table's H100, vLLM and fp8.
    let table = table(format!(
        "{AIC}VLLM,0.24.0,NVIDIA H100 80GB HBM3,generation_attention,vllm_flash_attn_fa3,1,1,4,4,128,1,bfloat16,fp8,127,0.014661333213249842\n"
    ))
    .unwrap();
    let Outcome::Row(row) = table.outcomes[0] else { panic!("{}", table.skipped) };
    assert_eq!(
        row.work,
        MeasuredWork::Attention { batch: 1, heads: 4, kv_heads: 4, head_dim: 128, context: 128 }
    );
    assert_eq!((row.latency, row.dtype), (Picos(14_661_333), Dtype::Fp8));
    assert_eq!((table.names.gpu(0), table.names.framework(0)), ("h100_sxm", "vllm"));
    let mla = "framework,version,device,op_name,kernel_source,mla_dtype,kv_cache_dtype,num_heads,batch_size,isl,tp_size,step,latency\nSGLang,0.5.14,NVIDIA H100 80GB HBM3,mla_generation,flash_attention,bfloat16,bfloat16,1,1,1,64,127,0.013415999710559845\n";
    let latent = MeasuredWork::Latent { batch: 1, heads: 1, latent_dim: 512, rope_dim: 64, context: 128 };
    assert_eq!((only(mla).work, only(mla).latency), (latent, Picos(13_416_000)));
    let gemm = "framework,version,device,op_name,kernel_source,gemm_dtype,m,n,k,latency\nSGLang,0.5.14,Unheard Of,gemm,x,fp8,1,2048,4096,0.008957333034939235\n";
    assert_eq!(only(gemm).work, MeasuredWork::Gemm { m: 1, n: 2048, k: 4096 });
    // A device without a short name keeps its own.
    assert_eq!(self::table(gemm).unwrap().names.gpu(0), "unheard of");
}

#[test]
fn files_that_cannot_be_read() {
    let folder = tempfile::tempdir().unwrap();
    let error = |path: &Path| read(path).err().unwrap().to_string();
    for name in ["none.csv", "none.parquet"] {
        let shown = error(&folder.path().join(name));
        assert!(shown.starts_with("cannot read '") && shown.contains(name), "{shown}");
    }
    assert!(error(folder.path()).ends_with("it is a directory; expected a file"));
    let long = folder.path().join("long.csv");
    let row = "x".repeat(LONGEST_LINE + 5);
    std::fs::write(&long, format!("{ATTENTION}{row}\n{row}")).unwrap();
    assert!(error(&long).contains("long.csv:2:1: the line is longer than 16 MiB"), "{}", error(&long));
    // By its name, or by how it begins.
    for name in ["a.parquet", "a.csv"] {
        let path = folder.path().join(name);
        std::fs::write(&path, "PAR1 and then nothing of the kind\n").unwrap();
        let shown = error(&path);
        let word = if cfg!(feature = "parquet") { "as a Parquet file: " } else { "--features parquet" };
        assert!(shown.contains(word) && shown.contains(name), "{shown}");
    }
}

#[test]
fn a_million_rows() {
    let mut text = ATTENTION.to_owned();
    for i in 0..1_000_000_u32 {
        let (gpu, kernel) =
            (["a100_sxm", "h100_sxm"][i as usize / 500_000], ["fa3", "trtllm_mha"][i as usize % 2]);
        let (batch, context) = (1 + i % 256, 1 + i / 256);
        writeln!(
            text,
            "{gpu},sglang,0.5.14,{kernel},bfloat16,{batch},32,8,128,{context},{},{}.{:03},0.0077,hbm,2,11.04",
            context * 4096,
            5 + i % 997,
            i % 1000
        )
        .unwrap();
    }
    let started = std::time::Instant::now();
    let table = table(&text).unwrap();
    println!("1,000,000 rows in {:?}", started.elapsed());
    assert_eq!((table.measured().count(), table.skipped.total()), (1_000_000, 0));
}

/// Each with its kind and rows; of the last column of bytes, how many the row's own sizes make.
#[test]
fn given_tables_where_they_are_at_hand() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/measured");
    for (name, rows, bytes) in [
        ("decode_attention_mha_calibration.csv", 4_017, 10),
        ("decode_attention_gqa_calibration.csv", 4_162, 10),
        ("decode_attention_mla_calibration.csv", 4_872, 10),
        ("gemm_decode_calibration.csv", 2_344, 8),
    ] {
        let path = folder.join(name);
        if !path.exists() {
            println!("skipped: no {name} at hand");
            continue;
        }
        let table = read(&path).unwrap();
        assert!(table.skipped.is_empty() && table.remarks.is_empty(), "{}\n{}", table.skipped, table.remarks);
        assert_eq!(table.outcomes.len(), rows, "{name}");
        for (number, row) in table.measured() {
            // The file says how many bytes its sizes make: were a column taken for another, they would differ.
            let line = std::str::from_utf8(table.line(number)).unwrap();
            let said: u64 = line.split(',').nth(bytes).unwrap().parse().unwrap();
            let elements = match row.work {
                MeasuredWork::Attention { batch, kv_heads, head_dim, context, .. } => {
                    2 * batch * kv_heads * head_dim * context
                }
                MeasuredWork::Latent { batch, latent_dim, rope_dim, context, .. } => {
                    batch * context * (latent_dim + rope_dim)
                }
                MeasuredWork::Gemm { n, k, .. } => n * k,
            };
            assert_eq!(row.dtype.bytes(elements).0, said, "{name}:{}", row.line);
        }
    }
}
